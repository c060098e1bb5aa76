"""Distinct users: exact while few, within the error when many, the same bytes in whatever order they came."""

import random

import pytest

from analytics.store import distinct


def _hashes(first: int, count: int) -> set[int]:
    return {distinct.hashed("default", f"user-{number}") for number in range(first, first + count)}


def test_nobody_is_nobody() -> None:
    assert (distinct.merge([]), distinct.merge([b"", b""]), distinct.add(b"", set()), distinct.estimate(b"")) == (
        *(b"", b"", b""),
        0,
    )


@pytest.mark.parametrize("count", [1, 2, 100, distinct.FEW])
def test_few_users_are_counted_exactly(count: int) -> None:
    sketch = distinct.add(b"", _hashes(0, count))
    assert (distinct.estimate(sketch), len(sketch)) == (count, 1 + 4 * count)


@pytest.mark.parametrize("count", [1_500, 10_000, 100_000, 1_000_000])
def test_many_users_are_counted_within_the_error(count: int) -> None:
    generator = random.Random(count)
    hashes = {generator.getrandbits(32) for _ in range(count)}
    sketch = distinct.add(b"", hashes)
    assert len(sketch) == 4_097
    assert abs(distinct.estimate(sketch) / count - 1) < 3 * distinct.STANDARD_ERROR


def test_the_standard_error_is_what_is_said() -> None:
    generator, errors = random.Random(7), []
    for _ in range(200):
        sketch = distinct.add(b"", {generator.getrandbits(32) for _ in range(5_000)})
        errors.append(distinct.estimate(sketch) / 5_000 - 1)
    spread = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    assert 0.75 * distinct.STANDARD_ERROR < spread < 1.25 * distinct.STANDARD_ERROR
    assert abs(sum(errors) / len(errors)) < 3 * distinct.STANDARD_ERROR / 200**0.5  # and it leans to no side


@pytest.mark.parametrize("count", [10, 1_024, 1_025, 6_000])
def test_the_bytes_do_not_depend_on_order_and_pieces(count: int) -> None:
    at_once = distinct.add(b"", _hashes(0, count))
    generator = random.Random(count)
    for _ in range(5):
        numbers = list(range(count)) * 2
        generator.shuffle(numbers)
        pieces, sketch = [], b""
        while numbers:
            taken, numbers = numbers[: count // 3 + 1], numbers[count // 3 + 1 :]
            hashes = {distinct.hashed("default", f"user-{number}") for number in taken}
            sketch = distinct.add(sketch, hashes)
            pieces.append(distinct.add(b"", hashes))
        generator.shuffle(pieces)
        assert (sketch, distinct.merge(pieces), distinct.merge([*pieces, at_once])) == (at_once,) * 3


def test_merging_counts_who_is_in_both_once() -> None:
    left, right = distinct.add(b"", _hashes(0, 600)), distinct.add(b"", _hashes(300, 600))
    assert distinct.estimate(distinct.merge([left, right])) == 900
    many, more = distinct.add(b"", _hashes(0, 20_000)), distinct.add(b"", _hashes(10_000, 20_000))
    assert abs(distinct.estimate(distinct.merge([many, more, left])) / 30_000 - 1) < 3 * distinct.STANDARD_ERROR


def test_the_same_name_in_two_tenants_is_two_users() -> None:
    assert distinct.hashed("a", "bob") != distinct.hashed("b", "bob")
    assert distinct.hashed("a", "\ud800") == distinct.hashed("a", "\ud800")


def test_a_sketch_can_be_full() -> None:
    assert distinct.estimate(b"\x02" + b"\x15" * 4_096) == 2**32


@pytest.mark.parametrize("data", [b"\x01\x00", b"\x02" * 5, b"{}", b"\x03" + b"\x00" * 4_096])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="bytes that are no sketch of users"):
        distinct.estimate(data)
