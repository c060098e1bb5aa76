"""What analysts say about decisions: true or false positive, with its history, and the precision of each rule by it.

In: a verdict on one decision. Out: every verdict that was given on it, oldest first; per rule how often it was right.
A new verdict replaces the one in force for the rules it names and stands beside it in the history: nothing is unsaid.
What a verdict was about (rules, time, tenant) is kept with it, so that precision outlives the records' retention.
Never: a commit; the caller's transaction (database.writing) decides. Never a change of the record.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from analytics.store.tables import RULE_VERDICTS, VERDICTS
from analytics.types import DecisionRow

TRUE_POSITIVE, FALSE_POSITIVE, UNCLEAR = "true_positive", "false_positive", "unclear"
VERDICT_WORDS = (TRUE_POSITIVE, FALSE_POSITIVE, UNCLEAR)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict. rules are the ids it is about, in their order; number counts a decision's verdicts from 1."""

    decision_id: str
    number: int
    verdict: str
    rules: tuple[str, ...]
    note: str
    author: str
    made_unix_us: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an analyst says, before it has its number."""

    verdict: str
    rules: tuple[str, ...]
    note: str
    author: str
    made_unix_us: int


@dataclass(frozen=True, slots=True)
class RulePrecision:
    """How many decisions a rule was judged right and wrong in. unclear ones count for neither."""

    rule_id: str
    true_positives: int = 0
    false_positives: int = 0
    unclear: int = 0

    @property
    def precision(self) -> float | None:
        """Share of right ones among the right and the wrong, 0..1; None when nobody judged."""
        judged = self.true_positives + self.false_positives
        return self.true_positives / judged if judged else None


def add(connection: Connection, row: DecisionRow, opinion: Opinion) -> Verdict:
    """Store a verdict on a decision and return it. The rules it names are those of the decision's threats."""
    held = select(func.max(VERDICTS.c.number)).where(VERDICTS.c.decision_id == row.decision_id)
    number = (connection.execute(held).scalar() or 0) + 1
    said = {"verdict": opinion.verdict, "note": opinion.note, "author": opinion.author}
    told = {"number": number, "rules": list(opinion.rules), "made_unix_us": opinion.made_unix_us}
    connection.execute(insert(VERDICTS), {"decision_id": row.decision_id, "tenant": row.tenant} | said | told)
    _replace_rules(connection, row, opinion)
    return Verdict(
        row.decision_id, number, opinion.verdict, opinion.rules, opinion.note, opinion.author, opinion.made_unix_us
    )


def _replace_rules(connection: Connection, row: DecisionRow, opinion: Opinion) -> None:
    about = RULE_VERDICTS.c.decision_id == row.decision_id, RULE_VERDICTS.c.rule_id.in_(opinion.rules)
    connection.execute(delete(RULE_VERDICTS).where(*about))
    common = {"decision_id": row.decision_id, "tenant": row.tenant, "started_unix_us": row.started_unix_us}
    rows = [common | {"rule_id": rule, "verdict": opinion.verdict} for rule in opinion.rules]
    if rows:
        connection.execute(insert(RULE_VERDICTS), rows)


def history(connection: Connection, decision_id: str) -> tuple[Verdict, ...]:
    """Return the verdicts on a decision, oldest first."""
    columns = [VERDICTS.c[name] for name in Verdict.__slots__]
    statement = select(*columns).where(VERDICTS.c.decision_id == decision_id).order_by(VERDICTS.c.number)
    return tuple(Verdict(**{**row._mapping, "rules": tuple(row.rules)}) for row in connection.execute(statement))  # noqa: SLF001 - SQLAlchemy's public name


def newest(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Return the last word on each decision that has one, by id."""
    columns = (VERDICTS.c.decision_id, VERDICTS.c.verdict)
    statement = (
        select(*columns).where(VERDICTS.c.decision_id.in_(ids)).order_by(VERDICTS.c.decision_id, VERDICTS.c.number)
    )
    return {row.decision_id: row.verdict for row in connection.execute(statement)}


def precision(
    connection: Connection, start_unix_s: int, end_unix_s: int, tenant: str | None = None
) -> tuple[RulePrecision, ...]:
    """Return what analysts found of each rule in the decisions of a time, most judged first."""
    when = RULE_VERDICTS.c.started_unix_us
    where: list[ColumnElement[bool]] = [when >= start_unix_s * 1_000_000, when < end_unix_s * 1_000_000]
    if tenant is not None:
        where.append(RULE_VERDICTS.c.tenant == tenant)
    keys = (RULE_VERDICTS.c.rule_id, RULE_VERDICTS.c.verdict)
    statement = select(*keys, func.count()).where(*where).group_by(*keys)
    return _by_rule((str(rule), str(verdict), int(count)) for rule, verdict, count in connection.execute(statement))


def _by_rule(counted: Iterable[tuple[str, str, int]]) -> tuple[RulePrecision, ...]:
    rules: dict[str, dict[str, int]] = defaultdict(dict)
    for rule, verdict, count in counted:
        rules[rule][verdict] = count
    found = [RulePrecision(rule, *(counts.get(word, 0) for word in VERDICT_WORDS)) for rule, counts in rules.items()]
    return tuple(sorted(found, key=_judged))


def _judged(one: RulePrecision) -> tuple[Any, ...]:
    return -(one.true_positives + one.false_positives), -one.unclear, one.rule_id
