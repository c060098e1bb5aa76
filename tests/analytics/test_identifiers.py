import uuid

from analytics.identifiers import time_id


def test_an_id_holds_its_time_and_version() -> None:
    made = uuid.UUID(time_id(1_763_463_999_123_456, lambda size: b"\xff" * size))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_763_463_999_123


def test_ids_sort_by_time_and_differ() -> None:
    made = [time_id(1_000_000 * second) for second in range(100)]
    assert made == sorted(made)
    assert len({time_id(1_000_000) for _ in range(1_000)}) == 1_000
