"""Questions to parsed JSON."""

import pytest

from sidecar.protocols import values
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Segment, Surface, Unscanned, UnscannedReason


def test_wrong_types_are_the_empty_form() -> None:
    assert (values.text(7), values.count("7"), values.count(True), values.count(-1)) == ("", None, None, None)
    assert (values.mapping([]), values.objects({}), values.objects([1, {}])) == ({}, [], [{}])
    assert (values.index({"index": "1"}, 4), values.index({"index": 1}, 4), values.count(2**53)) == (4, 1, None)
    assert (values.total(None, None), values.total(None, 2, 3)) == (None, 5)


def test_a_body_is_an_object() -> None:
    assert values.body_object(b'{"a": 1}') == {"a": 1}
    for data in (b"[]", b"x", b'"x"'):
        with pytest.raises(MalformedBody):
            values.body_object(data)


def test_text_counts_however_short_and_other_values_leaf_by_leaf() -> None:
    assert list(values.segments_of("hi", Surface.USER, "/a", 3)) == [Segment("hi", Surface.USER, 3, "/a")]
    assert list(values.segments_of("", Surface.USER, "/a")) == []
    assert list(values.segments_of(["short", "a longer text here"], Surface.USER, "/a")) == [
        Segment("a longer text here", Surface.USER, -1, "/a/1")
    ]


def test_data_urls_and_bytes() -> None:
    assert values.is_data_url("data:image/png;base64,QQ==")
    assert not values.is_data_url("data:text/plain,hello")
    assert values.binary([0, 5]) == (Unscanned(UnscannedReason.BINARY, 5),)
