import pytest

from analytics.generate import Plan
from analytics.types import DAY_S


def test_time_is_whole_slots_up_to_the_end() -> None:
    plan = Plan(records=10, days=2, until_unix_s=1_795_000_599)
    assert (plan.end_unix_s, plan.start_unix_s, plan.slots) == (1_795_000_200, 1_795_000_200 - 2 * DAY_S, 288)


@pytest.mark.parametrize(("records", "users"), [(1, 40), (300_000, 200), (90_000_000, 3_000)])
def test_the_population_suits_the_records(records: int, users: int) -> None:
    assert Plan(records=records).population == users
    assert Plan(records=records, users=77).population == 77


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("records", 0, "records must be 1 to 100000000, not 0"),
        ("seed", -1, "seed must be 0 to 9223372036854775807, not -1"),
        ("days", 401, "days must be 1 to 400, not 401"),
        ("tenants", 51, "tenants must be 1 to 50, not 51"),
        ("users", 8, "users must be 0 or at least 9, one of each kind"),
        ("until_unix_s", 2**32, "until must be a time after 1970 and before 2106"),
        ("until_unix_s", 0, "until must be a time after 1970 and before 2106"),
    ],
)
def test_what_cannot_be_is_told(name: str, value: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Plan(**{"records": 10, name: value})
