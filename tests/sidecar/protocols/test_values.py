"""Questions to parsed JSON."""

import pytest

from sidecar.protocols import values
from sidecar.protocols.json_body import MalformedBody
from sidecar.types import Segment, Surface, Unscanned, UnscannedReason


def test_wrong_types_are_the_empty_form() -> None:
    assert [values.text_of(v) for v in ("a", 1, None)] == ["a", "", ""]
    assert [values.object_of(v) for v in ({"a": 1}, [], None)] == [{"a": 1}, {}, {}]
    assert [values.objects_of(v) for v in ([{"a": 1}, 2], {}, None)] == [[{"a": 1}], [], []]
    assert [values.number_of(v) for v in (0, 7, -1, 1.0, True, "7", 2**53)] == [0, 7, None, None, None, None, None]
    assert [values.index_of({"index": v}, otherwise=9) for v in (2, True, "2")] == [2, 9, 9]
    assert [values.added(1, None, 2), values.added(None, 2)] == [3, None]


def test_a_body_is_an_object() -> None:
    assert values.read_object(b'{"a": 1}') == {"a": 1}
    for data in (b"[]", b"x", b'"x"'):
        with pytest.raises(MalformedBody):
            values.read_object(data)


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
