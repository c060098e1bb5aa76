"""Rules that are not to count until a date."""

from sidecar import scoring
from sidecar.policy.exceptions import Waived, Waivers
from sidecar.policy.scoped import ExceptionAction, RuleException
from sidecar.types import Assessment, Finding, Segment, Span, Surface, ThreatType

TEXT = Segment("x" * 2000, Surface.USER)
NOW = 1_800_000_000_000_000  # 2027-01-15


def finding(rule: str, weight: float, start: int = 0, kind: ThreatType = ThreatType.JAILBREAK) -> Finding:
    return Finding(kind, "d", rule, Span(start, start + 1), weight)


def assessed(*findings: Finding) -> Assessment:
    pairs = tuple((TEXT, item) for item in findings)
    made = scoring.assess(pairs)
    return Assessment(made.score, made.threats, made.reasons, pairs)


ROLE, KEY = finding("jailbreak.role", 8.0), finding("secrets.key", 9.0, 5, ThreatType.SECRET_LEAK)
BOTH = assessed(ROLE, KEY)
IGNORED = RuleException("jailbreak.*", "2027-01-31", "red team", "ada")
LOWERED = RuleException("secrets.key", "2027-01-31", "test keys", "bob", ExceptionAction.LOWER, 0.25, "keys")
ENDED = RuleException("jailbreak.role", "2027-01-01", "was", "ada")


def test_nothing_to_except_changes_nothing() -> None:
    assert Waivers([]).waive(BOTH, NOW) == Waived(BOTH)
    assert Waivers([IGNORED]).waive(Assessment(), NOW) == Waived(Assessment())
    other = Waivers([RuleException("pii.*", "2027-01-31", "w", "a")]).waive(BOTH, NOW)
    assert other == Waived(BOTH)
    assert (bool(Waivers([])), bool(Waivers([IGNORED]))) == (False, True)


def test_an_ignored_rule_counts_for_nothing_and_is_still_masked() -> None:
    found = Waivers([IGNORED]).waive(BOTH, NOW)
    assert (found.assessment.score, found.assessment.found) == (9.0, ((TEXT, KEY),))
    assert found.assessment.ignored == ((TEXT, ROLE),)
    assert [threat.finding.rule_id for threat in found.assessment.threats] == ["secrets.key"]
    assert found.reasons == ("exception jailbreak.*: jailbreak.role is ignored until 2027-01-31 (ada: red team)",)
    assert (found.applied, found.ended) == (1, 0)


def test_a_lowered_rule_counts_in_part() -> None:
    found = Waivers([LOWERED]).waive(assessed(KEY), NOW)
    assert (found.assessment.score, found.assessment.ignored) == (2.2, ())
    assert found.reasons == ("exception keys: secrets.key counts 0.25 of its weight until 2027-01-31 (bob: test keys)",)


def test_one_that_has_ended_has_no_effect_and_says_so() -> None:
    found = Waivers([ENDED]).waive(BOTH, NOW)
    assert found.assessment is BOTH
    assert found.reasons == ("exception jailbreak.role ended on 2027-01-01: jailbreak.role counts in full",)
    assert (found.applied, found.ended) == (0, 1)


def test_of_several_the_strongest_that_is_in_time_counts() -> None:
    half = RuleException("*", "2027-01-31", "w", "a", ExceptionAction.LOWER, 0.5)
    found = Waivers([ENDED, half, IGNORED]).waive(assessed(ROLE), NOW)
    assert (found.assessment.score, found.applied, found.ended) == (0.0, 2, 1)


def test_it_ends_with_its_moment() -> None:
    end = IGNORED.until_us
    assert [Waivers([IGNORED]).waive(BOTH, at).applied for at in (end - 1, end)] == [1, 0]
