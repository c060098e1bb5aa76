"""What holds for some requests only: its bounds, and its dates."""

import datetime as dt

import pytest

from sidecar.policy.scoped import Budget, Match, Override, RuleException, Unit, Window, check_unique


def ends(until: str) -> dt.datetime:
    made = RuleException("r", until, "why", "ada")
    return dt.datetime.fromtimestamp(made.until_us / 1e6, dt.UTC)


def test_a_date_holds_to_its_end_and_a_moment_to_the_moment() -> None:
    assert ends("2026-12-31") == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    assert ends("2026-12-31T12:00:00Z") == dt.datetime(2026, 12, 31, 12, tzinfo=dt.UTC)
    assert ends("2026-12-31T12:00:00+02:00") == dt.datetime(2026, 12, 31, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("until", ["2026-13-01", "2026-12-31T12:00:00", "tomorrow", "2026-02-30", "9999-12-31"])
def test_what_is_no_date_is_refused(until: str) -> None:
    with pytest.raises(ValueError, match=r"exceptions.until .* is no date: 2026-12-31, or"):
        RuleException("r", until, "why", "ada")


def test_an_exception_is_called_by_its_name_or_its_rule() -> None:
    assert RuleException("a.*", "2026-12-31", "why", "ada").title == "a.*"
    assert RuleException("a.*", "2026-12-31", "why", "ada", name="red team").title == "red team"


@pytest.mark.parametrize(
    ("limit", "unit", "amount"), [(60, Unit.REQUESTS, 60), (2e6, Unit.TOKENS, 2_000_000), (0.25, Unit.USD, 250_000_000)]
)
def test_a_budget_is_counted_in_whole_numbers(limit: float, unit: Unit, amount: int) -> None:
    assert Budget("b", limit, unit, Window.DAY).amount == amount


def test_a_budget_beyond_reason_is_refused() -> None:
    with pytest.raises(ValueError, match=r"budgets.b.limit is a whole number of tokens"):
        Budget("b", 1.5, Unit.TOKENS, Window.DAY)
    with pytest.raises(ValueError, match=r"budgets.b.limit is 0 to 1000000000 usd"):
        Budget("b", 2e9, Unit.USD, Window.DAY)


def test_windows_are_a_minute_an_hour_a_day() -> None:
    assert [window.seconds for window in Window] == [60, 3600, 86400]


def test_a_match_has_patterns_by_field() -> None:
    match = Match(user="ada", model=("a", "b"))
    assert (match.of("user"), match.of("model"), match.of("team")) == (("ada",), ("a", "b"), ())


def test_an_override_for_everybody_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overrides.x.match is empty"):
        Override("x", Match(), {"mode": "observe"})


def test_names_stand_once() -> None:
    check_unique("budgets", ["a", "b"])
    with pytest.raises(ValueError, match=r"budgets: the name 'a' stands twice"):
        check_unique("budgets", ["a", "b", "a"])
