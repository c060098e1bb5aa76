"""A policy document: read from its text, checked whole, and what its overrides make of it.

In: YAML or JSON, the defaults for what it leaves out. Out: a Policy; a Policy with overrides applied.
Never: a document in force of which one override would be refused later: each is tried when the document is read.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sidecar.policy.scoped import Override
from sidecar.policy.settings import CANARY_MAX, CANARY_MIN, LEAK_BUDGET_MAX, Policy, plain

# What holds for a whole gateway, or is scoped in another way: no override sets it.
WHOLE = frozenset(("unknown_hosts", "identity", "exceptions", "budgets", "overrides", "version"))
# What is needed before the body is read, and what is only known once it has been (a user may be named in it).
EARLY = frozenset(("deadline_ms", "canaries"))
_LATE = ("model", "user")

_FIELD = re.compile(r"`\$\.(\w+)")
# What is allowed, for fields whose parser only says that a value is not.
_ALLOWED = {
    "mode": "enforce or observe",
    "thresholds": "for each surface of requests (system, user, assistant, tool_result, tool_definition, tool_call, document) "
    "alert and deny, scores",
    "actions": "for each threat type report, redact, pseudonymise, deny or allow",
    "unscanned": "allow_unscanned or deny",
    "on_failure": "by_mode, open or closed",
    "spool_full": "refuse or lose",
    "content_capture": "none, redacted or full",
    "leaks": "secret_leak and pii_leak, each report, redact, pseudonymise or deny",
    "output_leaks": "secret_leak and pii_leak, each report or redact",
    "alert_score": "a number above 0 and at most deny_score",
    "deny_score": "a number above 0",
    "deadline_ms": "1 to 600: Envoy gives up on the sidecar after 750 ms",
    "max_body_bytes": "0 (what the gateway takes) to 134217728",
    "max_tokens": "0 (any number) to 100000000",
    "lists": "users, models and hosts, each with allow and deny, lists of patterns",
    "response": "observe or enforce",
    "leak_budget": f"0 to {LEAK_BUDGET_MAX}",
    "stream_usage": "as_sent or ask",
    "unknown_hosts": "pass or deny",
    "websocket": "deny or allow_unscanned",
    "canaries": f"a list of texts of {CANARY_MIN} to {CANARY_MAX} characters",
    "user_risk": "half_life_s, tighten_from, tighten_to, min_deny_score, quarantine_at, quarantine_s",
    "identity": "user, team and session, names of headers",
    "exceptions": "rule, until, reason, who; action (ignore or lower), factor, name, match",
    "budgets": "name, limit, unit (requests, tokens or usd), window (minute, hour or day); "
    "per (tenant, user, team or model), match",
    "overrides": "name, match, set",
}


def parse_policy(text: str, defaults: Policy) -> Policy:
    """Return the policy of a YAML or JSON text; what it leaves out comes from defaults.

    Raises: ValueError naming the field and what is allowed.
    """
    try:
        given: Any = msgspec.yaml.decode(text) if text.strip() else {}
        given = {} if given is None else _without_dates(given)
        if not isinstance(given, dict):
            raise ValueError("the policy is not a mapping of settings")
        if "version" in given:
            raise ValueError("version is computed from the file's content; remove it")
        policy = msgspec.convert({**plain(defaults), **given, "version": policy_version(text)}, Policy)
    except msgspec.DecodeError as error:
        raise ValueError(_told(str(error))) from None
    except RecursionError:
        raise ValueError("the policy is nested too deeply") from None
    for override in policy.overrides:
        _try(override, policy)
    return policy


def _without_dates(value: Any) -> Any:
    """Return a value with YAML's dates and moments as texts, as JSON has them."""
    if isinstance(value, dict):
        return {key: _without_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _try(override: Override, policy: Policy) -> None:
    """Raises: ValueError naming the override for one that cannot be applied."""
    where = f"overrides.{override.name}"
    for name in sorted(override.set):
        if name in WHOLE:
            raise ValueError(f"{where}.set: {name} holds for the whole policy")
        late = [field for field in _LATE if override.match.of(field)]
        if name in EARLY and late:
            raise ValueError(f"{where}.set: {name} is needed before the body is read, and {late[0]} is known only then")
    try:
        merged(policy, (override,), f"{policy.version}/{override.name}")
    except msgspec.DecodeError as error:
        raise ValueError(f"{where}.set: {_told(str(error))}") from None
    except ValueError as error:
        raise ValueError(f"{where}.set: {error}") from None


def merged(policy: Policy, overrides: Iterable[Override], version: str) -> Policy:
    """Return a policy with overrides applied one after the other, and nothing left that is scoped.

    An alert_score above deny_score, which two overrides may make together, comes down to it.
    Raises: ValueError or msgspec.ValidationError for settings that are none; never for those that parse_policy let pass.
    """
    values = dict(plain(policy))
    for override in overrides:
        _merge(values, override.set)
    alert, deny = values["alert_score"], values["deny_score"]
    if isinstance(alert, int | float) and isinstance(deny, int | float) and deny > 0:
        values["alert_score"] = min(alert, deny)
    return msgspec.convert({**values, "exceptions": (), "budgets": (), "overrides": (), "version": version}, Policy)


def _merge(into: dict[str, Any], news: Mapping[str, Any]) -> None:
    for name, value in news.items():
        held = into.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            inner = dict(held)
            _merge(inner, value)
            into[name] = inner
        else:
            into[name] = value


def _told(message: str) -> str:
    """Add what is allowed to a parser's message."""
    field = _FIELD.search(message)
    allowed = _ALLOWED.get(field[1]) if field else None
    return f"{message}; allowed: {allowed}" if allowed else message


def policy_version(text: str) -> str:
    """Return the version of a policy text: 12 hex digits of its digest."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
