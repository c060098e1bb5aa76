"""User risk: the same sum whatever the order, told when it matters, quarantine and what ends it."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from analytics.control import risk
from analytics.store import control_state, database
from analytics.store import risk as store
from analytics.types import Change, DecisionRow
from analytics.types.control import RiskEvent, RiskRule, UserRisk
from tests.analytics.control.steering import HOUR_US, RULE, row
from tests.analytics.traffic import BEGAN_UNIX_US, threats

NOBODY = UserRisk("default", "alice")
NOW = BEGAN_UNIX_US


def after(*moves: tuple[float, int], held: UserRisk = NOBODY) -> UserRisk:
    for score, unix_us in moves:
        held = risk.moved(held, score, unix_us, RULE.half_life_s)
    return held


def test_a_score_halves_every_half_life() -> None:
    held = after((8.0, NOW), (4.0, NOW + HOUR_US))
    assert (held.risk, held.as_of_unix_us) == (8.0, NOW + HOUR_US)
    assert risk.at(held, NOW + 2 * HOUR_US, RULE.half_life_s).risk == 4.0


def test_a_late_record_adds_what_is_left_of_it() -> None:
    held = after((4.0, NOW + HOUR_US), (8.0, NOW))
    assert (held.risk, held.as_of_unix_us) == (8.0, NOW + HOUR_US)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 40 * HOUR_US)), max_size=30), st.randoms(use_true_random=False)
)
def test_the_order_of_records_does_not_matter(moves: list[tuple[float, int]], shuffle: random.Random) -> None:
    placed = [(score, NOW + offset) for score, offset in moves]
    shuffled = list(placed)
    shuffle.shuffle(shuffled)
    end = NOW + 40 * HOUR_US
    sums = [risk.at(after(*order), end, RULE.half_life_s).risk for order in (placed, shuffled)]
    expected = sum(risk.decayed(score, at, end, RULE.half_life_s) for score, at in placed)
    assert sums == pytest.approx([expected, expected], rel=1e-9, abs=1e-9)


def told(*rows: DecisionRow, held: UserRisk = NOBODY) -> list[float]:
    """Return the risk after each of the records, all of one moment."""
    risks = []
    for one in rows:
        held = risk.counted(held, Change(one, "", 0.0), RULE.half_life_s, NOW + HOUR_US)
        risks.append(held.risk)
    return risks


def said(number: int, index: int, messages: int, **fields: Any) -> DecisionRow:
    """Return a record of a conversation of so many messages, with an attack of score 10 in one of them."""
    (attack,) = threats(["jailbreak"])
    attack.message_index = index
    return row(number, 10.0, threats=[attack], messages=messages, **fields)


def test_a_fuller_record_adds_the_difference() -> None:
    held = risk.counted(NOBODY, Change(said(1, 0, 1), "", 0.0), RULE.half_life_s, NOW)
    fuller = risk.counted(held, Change(row(1, 12.5), "verdict", 10.0), RULE.half_life_s, NOW)
    assert (held.risk, fuller.risk) == (10.0, 12.5)


def test_a_conversation_that_goes_on_does_not_count_its_past_again() -> None:
    turns = [said(1, 0, 1), said(2, 0, 3), said(3, 0, 5)]
    assert told(*turns) == [10.0, 10.0, 10.0]
    assert told(*turns, said(4, 0, 7, at_us=HOUR_US)) == [10.0, 10.0, 10.0, 15.0]


def test_what_is_said_anew_counts_anew_and_a_clients_retry_does_not() -> None:
    assert told(said(1, 0, 1), said(2, 0, 1), said(3, 2, 3)) == [10.0, 20.0, 30.0]
    assert told(said(1, 0, 1), said(2, 0, 1, attempt=1)) == [10.0, 10.0]


def test_marks_are_few() -> None:
    held = NOBODY
    for number in range(risk.MARKS_MAX + 5):
        found = threats(["jailbreak"])
        found[0].rule_id = f"rule.{number}"
        held = risk.counted(held, Change(row(number, 10.0, threats=found), "", 0.0), RULE.half_life_s, NOW)
    assert len(held.marks) == risk.MARKS_MAX


def test_a_clock_ahead_of_ours_counts_as_now_and_what_is_before_a_reset_not_at_all() -> None:
    ahead = risk.counted(NOBODY, Change(said(1, 0, 1, at_us=HOUR_US), "", 0.0), RULE.half_life_s, NOW)
    assert (ahead.risk, ahead.as_of_unix_us) == (10.0, NOW)
    cleared = UserRisk("default", "alice", as_of_unix_us=NOW + 1, reset_unix_us=NOW + 1)
    assert told(said(1, 0, 1), held=cleared) == [0.0]


def test_what_user_risk_added_to_a_score_does_not_feed_it() -> None:
    assert told(row(1, 20.0, threats=threats(["jailbreak", "user_risk"]))) == [10.0]


def test_a_move_is_told_when_it_is_noticeable() -> None:
    assert [
        risk.noticeable(replace(NOBODY, risk=now, told=told))
        for now, told in [(0.4, 0), (0.5, 0), (101, 100), (106, 100)]
    ] == [
        False,
        True,
        False,
        True,
    ]


def test_levels_follow_the_policys_tightening() -> None:
    assert [risk.level(one, RULE) for one in (9.9, 10, 29.9, 30, 119.9, 120)] == [
        *("low", "medium", "medium", "high", "high", "critical")
    ]


CONFINING = RiskRule(quarantine_at=20.0, quarantine_s=600.0)


def test_the_rule_puts_into_quarantine_for_its_time() -> None:
    held = risk.judged(after((20.0, NOW)), CONFINING, NOW)
    assert (held.quarantined_until_unix_us, held.reason) == (NOW + 600_000_000, "user risk 20.0 reached 20")
    again = risk.judged(held, CONFINING, NOW + 600_000_001)
    assert again == held


def test_nobody_is_put_into_quarantine_by_an_old_risk_or_without_a_rule() -> None:
    held = after((39.0, NOW))
    assert risk.judged(held, CONFINING, NOW + HOUR_US) == held
    assert risk.judged(held, RULE, NOW) == held


def test_what_was_forgiven_does_not_bring_back_but_new_scores_do() -> None:
    forgiven = replace(after((30.0, NOW)), forgiven=30.0)
    assert risk.judged(after((15.0, NOW), held=forgiven), CONFINING, NOW).quarantined_until_unix_us == 0
    again = risk.judged(after((15.0, NOW), (5.0, NOW), held=forgiven), CONFINING, NOW)
    assert again.quarantined_until_unix_us == NOW + 600_000_000


def test_orders_are_carried_out_told_and_noted(engine: Engine) -> None:
    key = ("default", "alice")
    with database.writing(engine) as connection:
        store.write(connection, [after((30.0, NOW))])
        order = risk.Order("quarantine", "ada", "seen it", NOW + 60_000_000)
        confined = risk.carry_out(connection, key, order, RULE, NOW)
        released = risk.carry_out(connection, key, risk.Order("release", "ada", "mistake"), RULE, NOW + 1)
        cleared = risk.carry_out(connection, key, risk.Order("reset", "bob", "new start"), RULE, NOW + 2)
        told = store.changed_since(connection, 2)
        events = store.events(connection, key, 10)
        state = control_state.read(connection)
    assert (confined.quarantined_until_unix_us, confined.reason, confined.risk) == (NOW + 60_000_000, "seen it", 30.0)
    assert (released.quarantined_until_unix_us, released.forgiven) == (0, pytest.approx(30.0))
    assert cleared == UserRisk(*key, as_of_unix_us=NOW + 2, reset_unix_us=NOW + 2, changed_version=3)
    assert (told, state.version) == ([cleared], 3)
    assert [(one.kind, one.actor, one.reason, one.until_unix_us) for one in events] == [
        ("reset", "bob", "new start", 0),
        ("release", "ada", "mistake", 0),
        ("quarantine", "ada", "seen it", NOW + 60_000_000),
    ]
    assert events[2] == RiskEvent(*key, NOW, "quarantine", "ada", "seen it", 30.0, NOW + 60_000_000)


def test_after_a_reset_what_came_before_counts_no_more() -> None:
    cleared = UserRisk("default", "alice", as_of_unix_us=NOW, reset_unix_us=NOW)
    assert after((50.0, NOW - 1), held=cleared) == cleared
    assert after((2.0, NOW + 1), held=cleared).risk == 2.0


def test_users_of_whom_nothing_is_left_are_removed(engine: Engine) -> None:
    with database.writing(engine) as connection:
        old, recent = after((30.0, NOW)), replace(after((30.0, NOW + HOUR_US)), user="bob", changed_version=4)
        store.write(connection, [replace(old, changed_version=7), recent])
        assert risk.sweep(connection, RULE.half_life_s, NOW + 10 * HOUR_US + 1) == 1
        assert store.read(connection, [("default", "alice"), ("default", "bob")]) == {("default", "bob"): recent}
        assert control_state.read(connection).forgotten == 7
        assert risk.sweep(connection, RULE.half_life_s, NOW + 10 * HOUR_US + 1) == 0
