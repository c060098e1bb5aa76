"""What traffic is asked for.

In: numbers. Out: a Plan; raises ValueError with what is allowed. Never: a default that depends on the machine or the clock:
whoever wants traffic until now says so.
"""

from dataclasses import dataclass

from analytics.types import DAY_S

SLOT_S = 600  # time is dealt out in slots of ten minutes
DAY_SLOTS = DAY_S // SLOT_S
UNTIL_UNIX_S = (
    1_795_000_200  # 2026-11-18T11:10Z, a Wednesday: the default of tests, which want the same bytes each time
)
MAX_RECORDS = 100_000_000
MAX_DAYS = 400
MAX_TENANTS = 50
_PEOPLE_KINDS = 9  # analytics.generate.people.KINDS


@dataclass(frozen=True, slots=True)
class Plan:
    """How much traffic, of which time, by how many.

    Units: until_unix_s is the end of the last slot, rounded down to a slot. users 0 stands for a number that suits the
    records: one for about 1,500, at least 40 and at most 3,000.
    """

    records: int
    seed: int = 0
    days: int = 30
    until_unix_s: int = UNTIL_UNIX_S
    tenants: int = 3
    users: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError when a number is out of bounds."""
        bounds = {
            "records": (1, MAX_RECORDS),
            "seed": (0, 2**63 - 1),
            "days": (1, MAX_DAYS),
            "tenants": (1, MAX_TENANTS),
            "users": (0, 100_000),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be {least} to {most}, not {getattr(self, name)}")
        if not DAY_S * (self.days + 1) <= self.until_unix_s < 2**32:
            raise ValueError("until must be a time after 1970 and before 2106")
        if 0 < self.users < _PEOPLE_KINDS:
            raise ValueError(f"users must be 0 or at least {_PEOPLE_KINDS}, one of each kind")

    @property
    def slots(self) -> int:
        """How many slots the traffic lasts."""
        return self.days * DAY_SLOTS

    @property
    def end_unix_s(self) -> int:
        """The end of the last slot."""
        return self.until_unix_s // SLOT_S * SLOT_S

    @property
    def start_unix_s(self) -> int:
        """The start of the first slot."""
        return self.end_unix_s - self.slots * SLOT_S

    @property
    def population(self) -> int:
        """How many users there are."""
        return self.users or min(max(40, self.records // 1_500), 3_000)
