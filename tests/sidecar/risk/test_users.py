"""User risk as one worker knows it."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.settings import RiskSettings
from sidecar.risk import users
from sidecar.risk.users import NOBODY, Standing, UserRisks, remaining
from sidecar.types import Assessment, Finding, Segment, Span, Surface, Threat, ThreatType

ADA, BOB = ("acme", "ada"), ("acme", "bob")
SETTINGS = RiskSettings()
STRICT = RiskSettings(quarantine_at=40.0, quarantine_s=600)
NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000


@dataclass(frozen=True)
class Told:
    """What analytics pushes of a user."""

    risk: float = 0.0
    as_of_unix_us: int = NOW
    half_life_s: float = 3600.0
    quarantined_until_unix_us: int = 0
    reset_unix_us: int = 0
    reason: str = ""


def scored(score: float, text: str = "x") -> Assessment:
    finding = Finding(ThreatType.JAILBREAK, "d", "jailbreak.x", Span(0, 1), score)
    return Assessment(score, (Threat(finding, Segment(text, Surface.USER), score),))


def risk(held: UserRisks, at_us: int = NOW, key: tuple[str, str] = ADA) -> float:
    return held.standing(key, SETTINGS, at_us).risk


def test_a_user_without_a_score_is_not_kept() -> None:
    held = UserRisks()
    held.add(ADA, Assessment(), SETTINGS, NOW)
    held.add(("acme", ""), scored(20.0), SETTINGS, NOW)
    assert (held.standing(ADA, SETTINGS, NOW), len(held)) == (NOBODY, 0)


def test_scores_add_up_and_are_halved_every_half_life() -> None:
    held = UserRisks()
    held.add(ADA, scored(20.0, "a"), SETTINGS, NOW)
    held.add(ADA, scored(10.0, "b"), SETTINGS, NOW + HOUR)
    assert risk(held, NOW + HOUR) == pytest.approx(20.0)
    assert risk(held, NOW + 2 * HOUR) == pytest.approx(10.0)
    assert risk(held, NOW + 2 * HOUR, BOB) == 0.0


def test_a_text_sent_again_with_the_history_counts_once_in_a_half_life() -> None:
    held = UserRisks()
    for turn in range(40):
        held.add(ADA, scored(7.0, "a sentence that looks odd"), SETTINGS, NOW + turn * 60_000_000)
    assert risk(held, NOW + 39 * 60_000_000) < 7.0
    held.add(ADA, scored(7.0, "another"), SETTINGS, NOW + HOUR)
    held.add(ADA, scored(7.0, "a sentence that looks odd"), SETTINGS, NOW + HOUR)
    assert risk(held, NOW + HOUR) == pytest.approx(3.5 + 7.0 + 7.0)


def test_of_pushed_and_seen_the_larger_counts_each_decayed_to_now() -> None:
    held = UserRisks()
    held.add(ADA, scored(20.0), SETTINGS, NOW)
    held.apply({ADA: Told(12.0), BOB: Told(64.0, half_life_s=1800.0)})
    assert (risk(held), risk(held, NOW + HOUR, BOB)) == (20.0, 16.0)
    held.apply({ADA: Told(50.0)})
    assert (risk(held), risk(held, NOW + HOUR), risk(held, NOW, BOB)) == (50.0, 25.0, 0.0)


def test_another_machine_s_clock_that_is_ahead_adds_nothing() -> None:
    held = UserRisks()
    held.apply({ADA: Told(12.0, as_of_unix_us=NOW + HOUR)})
    assert risk(held) == 12.0


def test_a_reset_holds_for_what_was_seen_here_too() -> None:
    held = UserRisks()
    held.add(ADA, scored(50.0), STRICT, NOW)
    held.apply({ADA: Told(0.0, reset_unix_us=NOW + 1)})
    assert held.standing(ADA, STRICT, NOW + 2) == Standing()
    held.add(ADA, scored(5.0), STRICT, NOW + 3)
    held.apply({ADA: Told(0.0, reset_unix_us=NOW + 1)})  # the same reset again
    assert risk(held, NOW + 3) == pytest.approx(5.0)


def test_quarantine_begins_when_the_risk_reaches_it_and_ends_by_itself() -> None:
    held = UserRisks()
    held.add(ADA, scored(39.9, "a"), STRICT, NOW)
    assert held.standing(ADA, STRICT, NOW).quarantined_until_us == 0
    held.add(ADA, scored(10.0, "b"), STRICT, NOW)
    until = NOW + 600_000_000
    assert held.standing(ADA, STRICT, NOW + 1) == Standing(
        pytest.approx(49.9), until, "user risk 49.9 reached quarantine_at 40"
    )
    assert held.standing(ADA, STRICT, until).quarantined_until_us == 0


def test_trying_again_does_not_make_a_quarantine_longer_but_new_attacks_after_it_begin_another() -> None:
    held = UserRisks()
    held.add(ADA, scored(50.0, "a"), STRICT, NOW)
    held.add(ADA, scored(50.0, "b"), STRICT, NOW + 1_000_000)
    until = NOW + 600_000_000
    assert held.standing(ADA, STRICT, NOW + 2_000_000).quarantined_until_us == until
    held.add(ADA, scored(5.0, "c"), STRICT, until + 1)  # 55 since the first began: enough of it is new
    assert held.standing(ADA, STRICT, until + 2).quarantined_until_us == until + 1 + 600_000_000
    calm = UserRisks()
    calm.add(ADA, scored(50.0, "a"), STRICT, NOW)
    calm.add(ADA, scored(5.0, "b"), STRICT, until + 1)
    assert calm.standing(ADA, STRICT, until + 2).quarantined_until_us == 0


def test_a_pushed_quarantine_holds_and_a_release_lifts_the_local_one() -> None:
    held = UserRisks()
    held.add(ADA, scored(50.0, "a"), STRICT, NOW)
    pushed = Told(50.0, quarantined_until_unix_us=NOW + 2 * HOUR, reason="an analyst said so")
    held.apply({ADA: pushed, BOB: pushed})
    assert held.standing(ADA, STRICT, NOW) == Standing(50.0, NOW + 2 * HOUR, "an analyst said so")
    assert held.standing(BOB, SETTINGS, NOW).quarantined_until_us == NOW + 2 * HOUR
    held.apply({ADA: replace(pushed, quarantined_until_unix_us=0)})
    assert held.standing(ADA, STRICT, NOW) == Standing(50.0)
    held.add(ADA, scored(5.0, "b"), STRICT, NOW)  # what was forgiven does not bring it back
    assert held.standing(ADA, STRICT, NOW).quarantined_until_us == 0


def test_memory_is_bounded_in_users_texts_and_what_is_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    held = UserRisks(users_max=10)
    for number in range(50):
        held.add(("t", str(number)), scored(1.0), SETTINGS, NOW)
        held.add(("t", "0"), scored(1.0, str(number)), SETTINGS, NOW)
    assert (len(held), risk(held, NOW, ("t", "0")) > 40) == (10, True)
    for number in range(500):
        held.add(ADA, scored(1.0, str(number)), SETTINGS, NOW)
    assert len(held._seen[ADA].marks) == 64
    monkeypatch.setattr(users, "PUSHED_MAX", 2)
    many = {("t", str(number)): Told(float(number)) for number in range(5)}
    held.apply({**many, ADA: Told(0.0, quarantined_until_unix_us=NOW + 1)})
    assert sorted(held._pushed) == [ADA, ("t", "4")]


@given(st.integers(-(10**18), 10**18), st.floats(0.0, 1e7))
def test_what_remains_is_a_part(elapsed_us: int, half_life_s: float) -> None:
    assert 0.0 <= remaining(elapsed_us, half_life_s) <= 1.0
