from sqlalchemy import Engine

from analytics.store import database, verdicts
from analytics.store.verdicts import Opinion, RulePrecision, Verdict
from tests.analytics.books import varied

ROWS = [row for row in varied(200) if len({threat.rule_id for threat in row.threats}) == 2][:6]
RULES = tuple(dict.fromkeys(threat.rule_id for threat in ROWS[0].threats))


def say(engine: Engine, place: int, verdict: str, rules: tuple[str, ...] = ()) -> Verdict:
    row = ROWS[place]
    rules = rules or tuple(dict.fromkeys(threat.rule_id for threat in row.threats))
    with database.writing(engine) as connection:
        return verdicts.add(connection, row, Opinion(verdict, rules, "why", "nadia", 7))


def test_precision_counts_the_last_word_on_each_rule(engine: Engine) -> None:
    first, second = RULES
    say(engine, 0, "true_positive", RULES)
    say(engine, 0, "false_positive", (second,))
    say(engine, 1, "true_positive", (first,))
    say(engine, 2, "false_positive", (first,))
    say(engine, 3, "unclear", (first, second))
    start, end = ROWS[0].started_unix_us // 10**6, ROWS[5].started_unix_us // 10**6
    with engine.connect() as connection:
        found = verdicts.precision(connection, start, end + 1)
        assert found == (RulePrecision(first, 2, 1, 1), RulePrecision(second, 0, 1, 1))
        assert [one.precision for one in found] == [2 / 3, 0.0]
        before = verdicts.precision(connection, start, ROWS[1].started_unix_us // 10**6)
        assert set(before) == {RulePrecision(first, 1, 0, 0), RulePrecision(second, 0, 1, 0)}
        assert verdicts.precision(connection, start, end + 1, "nobody's") == ()
        ours = [row for row in ROWS[:4] if row.tenant == ROWS[0].tenant]
        mine = verdicts.precision(connection, start, end + 1, ROWS[0].tenant)
    assert sum(one.true_positives + one.false_positives + one.unclear for one in mine if one.rule_id == first) == len(
        ours
    )


def test_history_keeps_every_verdict_in_order(engine: Engine) -> None:
    told = [say(engine, 0, "unclear"), say(engine, 0, "true_positive", (RULES[0],)), say(engine, 1, "false_positive")]
    ids = [row.decision_id for row in ROWS]
    with engine.connect() as connection:
        assert verdicts.history(connection, ids[0]) == tuple(told[:2])
        assert [one.number for one in told] == [1, 2, 1]
        assert verdicts.newest(connection, ids) == {ids[0]: "true_positive", ids[1]: "false_positive"}
        assert verdicts.newest(connection, []) == {}


def test_nobody_judged_is_no_precision() -> None:
    assert RulePrecision("x", unclear=3).precision is None
