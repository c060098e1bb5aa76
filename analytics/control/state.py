"""What sidecars are to know, in memory: the newest of everything, with the version at which it last changed.

In: rows of the store that are newer than what is held. Out: what is newer than a version, as serialized parts of a Snapshot.
Nothing is queued for anybody: whoever is behind asks for what is newer than what it has, and gets the newest state of
that; so a slow sidecar costs no more than a quick one, and one that was away costs what has changed meanwhile.
Shape: each mapping is in the order of its entries' versions, because an entry that changes is put at its end.
Bounds: users that were ever told, budgets of windows under way, policies in force, prices of models met.
Never: touched by two threads (it belongs to the event loop; rows come from `read`, which may run elsewhere).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from douane.v1 import control_pb2 as pb
from sqlalchemy import Connection

from analytics.control.risk import KEPT_HALF_LIVES
from analytics.control.rules import Rules, RulesInForce
from analytics.store import budgets, control_state, policies, risk
from analytics.types.control import (
    EVERY_TENANT,
    BudgetUse,
    ControlState,
    ModelPrice,
    PolicyHead,
    PolicyVersion,
    UserRisk,
)

# Entries in one part: some 80 bytes each, so a part is below 1 MB even where users have long names.
PART_ENTRIES = 4_000
_V = TypeVar("_V")
BudgetKey = tuple[str, str, str]  # tenant, budget, key
Prices = Mapping[tuple[str, str], ModelPrice]


@dataclass(frozen=True, slots=True)
class Delta:
    """What the store holds that is newer than a version. whole: it is all there is."""

    state: ControlState
    rules: Rules
    whole: bool
    policies: list[tuple[PolicyHead, PolicyVersion | None]]
    users: list[UserRisk]
    uses: list[BudgetUse]

    @property
    def steers(self) -> bool:
        """True when it decides who passes, so that it is told at once: a policy, a quarantine, a reset, another database."""
        return (
            self.whole
            or bool(self.policies)
            or any(one.quarantined_until_unix_us or one.reset_unix_us for one in self.users)
        )


def read(connection: Connection, known: ControlState | None, rules: RulesInForce, now_unix_s: int) -> Delta | None:
    """Return what is newer than what is known, None when nothing is. The version is read first: what comes in between
    is read now and once more later, never missed.
    """
    state = control_state.read(connection)
    if known == state:
        return None
    whole = known is None or known.installation != state.installation or known.version > state.version
    since = 0 if whole or known is None else known.version
    return Delta(
        state=state,
        rules=rules.of(connection),
        whole=whole,
        policies=policies.active(connection, since),
        users=risk.changed_since(connection, since),
        uses=budgets.changed_since(connection, since, now_unix_s),
    )


@dataclass(slots=True)
class _Use:
    """Use of one budget by one key in the window under way, by sidecar."""

    version: int
    unit: str
    window_unix_s: int
    window_s: int
    by_sidecar: dict[str, int]

    @property
    def resets_unix_s(self) -> int:
        return self.window_unix_s + self.window_s


@dataclass(slots=True)
class State:
    """All that sidecars are to know."""

    at: ControlState | None = None
    rules: Rules | None = None
    prices: Prices = field(default_factory=dict)
    prices_version: int = 0
    _policies: dict[str, tuple[int, pb.PolicyDocument]] = field(default_factory=dict)
    _users: dict[tuple[str, str], tuple[int, UserRisk]] = field(default_factory=dict)
    _uses: dict[BudgetKey, _Use] = field(default_factory=dict)
    _made: dict[tuple[int, str, int], list[bytes]] = field(default_factory=dict)
    _owners: dict[tuple[int, str], dict[str, list[BudgetKey]]] = field(default_factory=dict)

    def take(self, delta: Delta) -> None:
        """Hold what is newer."""
        if delta.whole:
            self._policies, self._users, self._uses = {}, {}, {}
        for head, one in delta.policies:
            _put(self._policies, head.tenant, (head.changed_version, _document(head, one)))
        for user in delta.users:
            _put(self._users, (user.tenant, user.user), (user.changed_version, user))
        self.at, self.rules = delta.state, delta.rules
        if delta.policies:
            self._uses = {name: use for name, use in self._uses.items() if self._known(name, use.unit, use.window_s)}
        for use in delta.uses:
            self._use(use)
        self._forget_made()

    def take_prices(self, prices: Prices) -> bool:
        """Hold the prices of the models met; return whether they are others than before."""
        if prices == self.prices:
            return False
        self.prices = prices
        self.prices_version += 1
        self._forget_made()
        return True

    def drop_past(self, now_unix_s: int) -> None:
        """Let go of windows that have ended and of users of whom nothing is left; sidecars do so by themselves."""
        for key in [key for key, use in self._uses.items() if use.resets_unix_s <= now_unix_s]:
            del self._uses[key]
        for name in [name for name, (_, user) in self._users.items() if self._faded(user, now_unix_s)]:
            del self._users[name]
        self._forget_made()

    def _faded(self, user: UserRisk, now_unix_s: int) -> bool:
        last_unix_us = max(user.as_of_unix_us, user.reset_unix_us, user.quarantined_until_unix_us)
        half_life_s = self.rules.risk_of(user.tenant).half_life_s if self.rules else 0.0
        return now_unix_s - last_unix_us / 1e6 > KEPT_HALF_LIVES * half_life_s

    def _forget_made(self) -> None:
        self._made.clear()
        self._owners.clear()

    def _use(self, given: BudgetUse) -> None:
        key = given.key
        name = (key.tenant, key.budget, key.key)
        if not self._known(name, key.unit, key.window_s):
            return
        held = self._uses.get(name)
        if held is not None and held.window_unix_s > key.window_unix_s:
            return  # late: of a window before the one under way
        same = held is not None and held.window_unix_s == key.window_unix_s
        by_sidecar = held.by_sidecar if held is not None and same else {}
        by_sidecar[key.sidecar] = given.used
        _put(self._uses, name, _Use(given.changed_version, key.unit, key.window_unix_s, key.window_s, by_sidecar))

    def _known(self, name: BudgetKey, unit: str, window_s: int) -> bool:
        """Tell whether a policy in force has this budget in this shape: it may have given the name to another one."""
        listed = () if self.rules is None else self.rules.budgets_of(name[0])
        return any((one.name, one.unit, one.window_s) == (name[1], unit, window_s) for one in listed)

    def parts(self, since: int, tenant: str, sidecar: str, prices_since: int) -> list[bytes]:
        """Return what is newer than a version, as serialized Snapshots that follow each other; since 0 asks for all.

        tenant empty: of every tenant. What all sidecars are told alike is serialized once for each (since, tenant); what is one
        sidecar's own is appended: where a budget stands twice the later entry is meant, and protobuf messages may be joined.
        """
        made = self._made.get((since, tenant, prices_since))
        if made is None:
            made = self._made[since, tenant, prices_since] = self._make(since, tenant, prices_since)
        own = pb.Snapshot(
            budgets=[self._use_message(key, sidecar) for key in self._owned(since, tenant).get(sidecar, ())]
        )
        return [*made[:-1], made[-1] + own.SerializeToString()] if own.budgets else made

    def heartbeat(self) -> bytes:
        """Return a Snapshot that only says what is the newest."""
        return self._part(full=False).SerializeToString()

    def _make(self, since: int, tenant: str, prices_since: int) -> list[bytes]:
        """Serialize in parts of at most PART_ENTRIES; all but the last say that they are continued."""
        parts = [self._part(full=since == 0)]
        for count, (name, message) in enumerate(self._entries(since, tenant, prices_since), 1):
            if count % PART_ENTRIES == 0:
                parts[-1].continued = True
                parts.append(self._part(full=False))
            getattr(parts[-1], name).append(message)
        return [part.SerializeToString() for part in parts]

    def _part(self, *, full: bool) -> pb.Snapshot:
        if self.at is None:
            raise RuntimeError("nothing has been read yet")
        return pb.Snapshot(installation=self.at.installation, version=self.at.version, full=full)

    def _entries(self, since: int, tenant: str, prices_since: int) -> Iterator[tuple[str, Any]]:
        for name, (_, document) in _newer(self._policies, since, _first):
            if (not tenant or name in (tenant, EVERY_TENANT)) and (document.text or since):
                yield "policies", document
        for user_key, (_, user) in _newer(self._users, since, _first):
            if not tenant or user_key[0] == tenant:
                yield "users", self._user_message(user)
        for key, _ in _newer(self._uses, since, _version):
            if not tenant or key[0] == tenant:
                yield "budgets", self._use_message(key, "")
        if prices_since != self.prices_version:
            for (provider, model), price in self.prices.items():
                yield "prices", _price_message(provider, model, price)

    def _owned(self, since: int, tenant: str) -> Mapping[str, list[BudgetKey]]:
        """Return which changed budgets each sidecar has used itself."""
        owned = self._owners.get((since, tenant))
        if owned is None:
            owned = self._owners[since, tenant] = {}
            for key, use in _newer(self._uses, since, _version):
                for sidecar in use.by_sidecar if not tenant or key[0] == tenant else ():
                    owned.setdefault(sidecar, []).append(key)
        return owned

    def _use_message(self, key: BudgetKey, sidecar: str) -> pb.BudgetUse:
        use = self._uses[key]
        own = use.by_sidecar.get(sidecar, 0) if sidecar else 0
        return pb.BudgetUse(
            tenant=key[0],
            budget=key[1],
            key=key[2],
            window_unix_s=use.window_unix_s,
            resets_unix_s=use.resets_unix_s,
            others=sum(use.by_sidecar.values()) - own,
            own=own,
            unit=use.unit,
        )

    def _user_message(self, user: UserRisk) -> pb.UserRisk:
        if self.rules is None:
            raise RuntimeError("nothing has been read yet")
        return pb.UserRisk(
            tenant=user.tenant,
            user=user.user,
            risk=user.risk,
            as_of_unix_us=user.as_of_unix_us,
            quarantined_until_unix_us=user.quarantined_until_unix_us,
            reason=user.reason,
            half_life_s=self.rules.risk_of(user.tenant).half_life_s,
            reset_unix_us=user.reset_unix_us,
        )


def _put(mapping: dict[Any, Any], key: Any, value: Any) -> None:
    """Put an entry at the end, wherever it stood."""
    mapping.pop(key, None)
    mapping[key] = value


def _first(value: tuple[int, Any]) -> int:
    return value[0]


def _version(use: _Use) -> int:
    return use.version


def _newer(mapping: Mapping[Any, _V], since: int, version_of: Any) -> list[tuple[Any, _V]]:
    """Return the entries after a version, oldest first. Bounds: what is returned, not what is held."""
    found: list[tuple[Any, _V]] = []
    for key in reversed(mapping):
        value = mapping[key]
        if version_of(value) <= since:
            break
        found.append((key, value))
    found.reverse()
    return found


def _document(head: PolicyHead, one: PolicyVersion | None) -> pb.PolicyDocument:
    return pb.PolicyDocument(tenant=head.tenant, version=one.digest if one else "", text=one.text if one else "")


def _price_message(provider: str, model: str, price: ModelPrice) -> pb.ModelPrice:
    return pb.ModelPrice(
        provider=provider,
        model=model,
        prompt_nanousd=price.prompt_nanousd,
        completion_nanousd=price.completion_nanousd,
        cached_nanousd=price.cached_nanousd,
    )
