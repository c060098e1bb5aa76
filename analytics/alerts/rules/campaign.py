"""Campaigns: the same attack from several users in a short time.

In: changes; then, from the store, how many users met each attack. Out: what was met, Occurrences.
The same attack is the same matched text (records hold its keyed digest, the same in every sidecar of an installation), or, of
more users, the same rule: rewordings of one trick share their rule.
Only attacks count, and only exchanges at ALERT_SECURITY_THRESHOLD or above: many users who paste a phone number are no campaign.
Never: I/O.
"""

from collections.abc import Iterable, Iterator, Mapping

from analytics.alerts.rules.naming import keyed
from analytics.config import Settings
from analytics.types import Change, DecisionRow
from analytics.types.alerts import Occurrence

ATTACKS = frozenset(
    {
        *("prompt_injection", "indirect_injection", "jailbreak", "data_extraction"),
        *("code_injection", "exfiltration", "unsafe_tool_call"),
    }
)
Attack = tuple[str, str]  # tenant, `text:` and a digest or `rule:` and a rule's id


def met(changes: Iterable[Change], settings: Settings) -> dict[tuple[Attack, str], DecisionRow]:
    """Return who met which attack in a batch, with the worst exchange of each; users without a name are left out."""
    found: dict[tuple[Attack, str], DecisionRow] = {}
    for change in changes:
        row = change.row
        if not row.user or row.score < settings.alert_security_threshold:
            continue
        for name in _attacks(row):
            key = ((row.tenant, name), row.user)
            if key not in found or row.score > found[key].score:
                found[key] = row
    return found


def _attacks(row: DecisionRow) -> Iterator[str]:
    for threat in row.threats:
        if threat.type in ATTACKS:
            yield f"rule:{threat.rule_id}"
            if threat.match_digest:
                yield f"text:{threat.match_digest}"


def campaigns(
    seen: Mapping[tuple[Attack, str], DecisionRow], users: Mapping[Attack, int], settings: Settings
) -> Iterator[Occurrence]:
    """Yield a campaign for each attack that enough users met; the worst exchange of the batch is its example."""
    worst: dict[Attack, DecisionRow] = {}
    for (attack, _), row in seen.items():
        if attack not in worst or row.score > worst[attack].score:
            worst[attack] = row
    for attack, row in worst.items():
        count = users.get(attack, 0)
        if count >= _enough(attack[1], settings):
            yield _campaign(attack, row, count, settings)


def _enough(name: str, settings: Settings) -> int:
    return settings.alert_campaign_users if name.startswith("text:") else settings.alert_campaign_rule_users


def _campaign(attack: Attack, row: DecisionRow, users: int, settings: Settings) -> Occurrence:
    tenant, name = attack
    threat = next(one for one in row.threats if name in (f"rule:{one.rule_id}", f"text:{one.match_digest}"))
    same = "the same text" if name.startswith("text:") else "the same kind of text"
    return Occurrence(
        rule="campaign",
        level="critical" if row.level == "critical" else "warning",
        tenant=tenant,
        key=keyed("campaign", name),
        title=f"{users} users sent the same {threat.type.replace('_', ' ')}",
        text=f"{users} users sent {same} within {settings.alert_campaign_window_s // 60} minutes: an attack passed on, "
        "or one person with many names.",
        moment_unix_us=row.started_unix_us,
        decisions=(row.decision_id,),
        score=row.score,
        facts=(("Users", str(users)), ("Rule", threat.rule_id), ("Last by", row.user)),
    )
