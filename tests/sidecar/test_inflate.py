"""Bodies without their coding: whole, in pieces, cut anywhere, broken, and those that grow beyond all measure."""

import random
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest

from sidecar.envoyconf import spec
from sidecar.inflate import CODINGS, FLOOR_BYTES, MAX_RATIO, Inflater, NotInflated, inflated
from sidecar.types import FailureKind
from tests.support import codings

LIMIT = 16 * 1024 * 1024
NAMES = ("gzip", "br", "zstd")
TEXT = (
    b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "caf\xc3\xa9 ' + bytes(range(32, 127)) * 9 + b'"}]}'
)


def kind_of(call: Callable[[], object]) -> FailureKind:
    with pytest.raises(NotInflated) as caught:
        call()
    return caught.value.kind


def test_the_gateway_keeps_the_codings_that_can_be_read() -> None:
    assert tuple(CODINGS) == spec.CODINGS


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plain", [b"", b"x", TEXT, bytes(FLOOR_BYTES)], ids=["empty", "one", "text", "floor"])
def test_a_body_comes_out_as_it_went_in(name: str, plain: bytes) -> None:
    assert inflated(codings.WHOLE[name](plain), f" {name.upper()} ", LIMIT) == plain


@pytest.mark.parametrize("name", ["", "identity", "Identity"])
def test_a_plain_body_is_not_touched(name: str) -> None:
    assert inflated(TEXT, name, 1) is TEXT


@pytest.mark.parametrize("name", ["deflate", "compress", "x", "gzip, br", "gzip,", "gzip;q=1", "identity, gzip"])
def test_other_codings_and_more_than_one_are_not_read(name: str) -> None:
    assert kind_of(lambda: inflated(TEXT, name, LIMIT)) is FailureKind.UNSUPPORTED_ENCODING


@pytest.mark.parametrize("name", NAMES)
def test_cut_anywhere_is_malformed(name: str) -> None:
    data = codings.WHOLE[name](TEXT)
    kinds = {kind_of(lambda end=end: inflated(data[:end], name, LIMIT)) for end in range(len(data))}  # type: ignore[misc]
    assert kinds == {FailureKind.MALFORMED_BODY}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [b"x", b"\0" * 9, b"again"])
def test_bytes_behind_the_end_are_malformed(name: str, more: bytes) -> None:
    """A second member too: who reads only the first would see another body than who reads both."""
    data = codings.WHOLE[name](TEXT)
    assert (
        kind_of(lambda: inflated(data + (data if more == b"again" else more), name, LIMIT))
        is FailureKind.MALFORMED_BODY
    )


@pytest.mark.parametrize("name", NAMES)
def test_broken_bytes_never_raise_anything_else(name: str) -> None:
    chance = random.Random(7)
    data = codings.WHOLE[name](TEXT)
    for _ in range(300):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            inflated(bytes(broken), name, LIMIT)
        except NotInflated as error:
            assert error.kind in (FailureKind.MALFORMED_BODY, FailureKind.TOO_LARGE)  # noqa: PT017 - most are refused


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_too_large_and_takes_little_memory(name: str) -> None:
    bomb = codings.WHOLE[name](bytes(200_000_000))
    tracemalloc.start()
    try:
        assert kind_of(lambda: inflated(bomb, name, LIMIT)) is FailureKind.TOO_LARGE
        assert kind_of(lambda: Inflater(name).feed(bomb, end=True)) is FailureKind.TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 4 * max(LIMIT, MAX_RATIO * len(bomb)) < 200_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_the_limit_holds_whatever_the_ratio(name: str) -> None:
    data = codings.WHOLE[name](random.Random(1).randbytes(5000))
    assert kind_of(lambda: inflated(data, name, 4999)) is FailureKind.TOO_LARGE
    assert len(inflated(data, name, 5000)) == 5000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_pieces_come_out_as_they_come_in(name: str, size: int) -> None:
    data = codings.WHOLE[name](TEXT)
    cuts = [*range(0, len(data), size), len(data)]
    inflater = Inflater(name)
    pieces = [inflater.feed(data[start:end], end=end == len(data)) for start, end in pairwise(cuts)]
    assert b"".join(pieces) == TEXT
    assert inflater.feed(b"", end=True) == b""


@pytest.mark.parametrize("name", NAMES)
def test_a_flushed_piece_can_be_read_when_it_has_come(name: str) -> None:
    parts = [b"data: one\n\n", b"data: two\n\n"]
    inflater = Inflater(name)
    *came, last = codings.flushed(parts, name)
    assert [inflater.feed(piece, end=False) for piece in came] == parts
    assert inflater.feed(last, end=True) == b""


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_stops_is_malformed_and_an_empty_one_is_not(name: str) -> None:
    inflater = Inflater(name)
    inflater.feed(codings.WHOLE[name](TEXT)[:20], end=False)
    assert kind_of(lambda: inflater.feed(b"", end=True)) is FailureKind.MALFORMED_BODY
    assert Inflater(name).feed(b"", end=True) == b""
    ended = Inflater(name)
    ended.feed(codings.WHOLE[name](TEXT), end=False)
    assert kind_of(lambda: ended.feed(b"more", end=True)) is FailureKind.MALFORMED_BODY
