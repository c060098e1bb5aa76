"""One walk over a body: surfaces go down, media are counted, nothing is lost."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given

from sidecar.protocols import parts
from sidecar.protocols.parts import Found, Holder, Rules
from sidecar.types import Segment, Surface, Unscanned, UnscannedReason
from tests.sidecar.protocols.anything import LONG, strings, values


def _surface(key: str, item: Mapping[str, Any], around: Surface) -> Surface:
    return Surface.TOOL_CALL if key == "call" or item.get("type") == "call" else around


def _media(at: Holder) -> bool:
    return at.key == "data" and at.outer == "image"


RULES = Rules(_surface, frozenset(("text",)), _media, frozenset(("id",)))


def walk(value: Any) -> Found:
    found = Found()
    found.walk(value, Segment("", Surface.USER, 3, "/at"), RULES)
    return found


def test_surfaces_and_places_go_down() -> None:
    found = walk(
        {"text": "hi", "call": {"a": [{"text": "rm"}], "c": "short"}, "x": [LONG, {"type": "call", "b/c": LONG}]}
    )
    assert found.segments == [
        Segment("hi", Surface.USER, 3, "/at/text"),
        Segment("rm", Surface.TOOL_CALL, 3, "/at/call/a/0/text"),
        Segment(LONG, Surface.USER, 3, "/at/x/0"),
        Segment("b/c", Surface.TOOL_CALL, 3, "/at/x/1"),
        Segment(LONG, Surface.TOOL_CALL, 3, "/at/x/1/b~1c"),
    ]


def test_media_are_counted_unless_they_are_words_or_arguments() -> None:
    found = walk([{"image": {"data": "QUJD"}}, {"image": {"data": LONG}}, {"call": {"image": {"data": "QUJD" * 9}}}])
    assert found.unscanned == [Unscanned(UnscannedReason.BINARY, 4)]
    assert [s.text for s in found.segments] == [LONG, "QUJD" * 9]


def test_keys_are_scanned_and_skipped_ones_are_not() -> None:
    assert [s.text for s in walk({LONG: 1, "id": LONG, "text": ""}).segments] == [LONG]


def test_depth_costs_no_recursion() -> None:
    value: Any = LONG
    for _ in range(50_000):
        value = [value]
    assert [s.text for s in walk(value).segments] == [LONG]


@pytest.mark.parametrize(
    ("text", "media"),
    [
        ("", True),
        ("QUJD", True),
        ("QU\r\nJD==\n", True),
        ("_-8=", True),
        ("data:image/png;base64,QUJD", True),
        ("data:text/plain,QUJD", False),
        ("two words", False),
        ("QUJD===", False),
        ("https://a.test/x.png", False),
    ],
)
def test_media_are_base64(text: str, media: bool) -> None:
    assert parts.is_media(text) is media


@given(values(("text", "image", "data", "call", "type"), ("call",)))
def test_no_long_string_is_lost(value: Any) -> None:
    found = walk(value)
    long = [text for text in strings(value) if len(text) > 12]
    assert len([s for s in found.segments if len(s.text) > 12]) + len(found.unscanned) >= len(long)
