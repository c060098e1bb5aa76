"""Strict reading: what two parsers could read differently is refused, never guessed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.protocols.json_body import MalformedBody, escape, leaves, load

# msgspec refuses what lies beyond 64-bit floats; json.loads makes infinities of it.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_valid_json_is_read_as_everybody_reads_it(value: Any, ascii_only: bool) -> None:
    """Keys with quotes and colons make the duplicate check take its long way; the value stays the same."""
    try:
        data = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    if "\\ud" in data.decode() and any("\ud800" <= c <= "\udfff" for c in json.dumps(value, ensure_ascii=False)):
        with pytest.raises(MalformedBody):
            load(data)
        return
    assert load(data) == json.loads(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        value = load(data)
    except MalformedBody:
        return
    assert value == json.loads(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "Input data was truncated", id="empty"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "the JSON is nested too deeply", id="deep arrays"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "the JSON is nested too deeply", id="deep objects"),
        pytest.param(b'{"a":1,"a":2}', "an object has the same key twice", id="duplicate"),
        pytest.param(b'{"a":1,"\\u0061":2}', "an object has the same key twice", id="duplicate by escape"),
        pytest.param(b'[{"b":[{"a":1, "a" \t\r\n:2}]}]', "an object has the same key twice", id="duplicate inside"),
        pytest.param(b'{"a\\"":1,"a\\"":2}', "an object has the same key twice", id="duplicate with escaped quote"),
        pytest.param(b'{"a":"\\":\\":","a":2}', "an object has the same key twice", id="colons in a string"),
        pytest.param(b'{"":1,"":2}', "an object has the same key twice", id="empty keys"),
        pytest.param(b"NaN", "JSON is malformed", id="NaN"),
        pytest.param(b"[Infinity]", "JSON is malformed", id="Infinity"),
        pytest.param(b'"\xff"', "the body is not valid JSON", id="no UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', "the body is not valid JSON", id="surrogate in UTF-8"),
        pytest.param(b'"\\ud800"', "Input data was truncated", id="lone surrogate at the end"),
        pytest.param(b'"\\udc00 text"', "JSON is malformed", id="low surrogate"),
        pytest.param(b'"\\ud800 and more text"', None, id="high surrogate"),
        pytest.param(b"\xef\xbb\xbf{}", "JSON is malformed", id="BOM"),
        pytest.param('{"a":1}'.encode("utf-16"), None, id="UTF-16"),
        pytest.param(b"1e999", "the body is not valid JSON", id="beyond a float"),
        pytest.param(b"9" * 5000, "the body is not valid JSON", id="huge integer"),
        pytest.param(b"{}{}", "JSON is malformed", id="two values"),
        pytest.param(b"[1,]", "JSON is malformed", id="trailing comma"),
        pytest.param(b'{"a":1}//', "JSON is malformed", id="comment"),
        pytest.param(b"{'a':1}", "JSON is malformed", id="single quotes"),
        pytest.param(b'"\x01"', "JSON is malformed", id="control character"),
    ],
)
def test_what_could_be_read_in_two_ways_is_malformed(data: bytes, reason: str | None) -> None:
    with pytest.raises(MalformedBody) as caught:
        load(data)
    assert reason is None or str(caught.value).split(":")[0] == reason


@pytest.mark.parametrize(
    "data",
    [b'{"a":"b\\":"}', b'{"a\\":":1}', b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":1}]', b' {"a" : "x\\\\" , "b" : ":"} '],
)
def test_quotes_and_colons_in_strings_are_no_duplicates(data: bytes) -> None:
    assert load(data) == json.loads(data)


@given(values)
def test_leaves_are_every_string_longer_than_an_identifier(value: Any) -> None:
    def strings(item: Any) -> list[str]:
        if isinstance(item, str):
            return [item]
        if isinstance(item, dict):
            return [text for key, inner in item.items() for text in (key, *strings(inner))]
        return [text for inner in item for text in strings(inner)] if isinstance(item, list) else []

    found = [text for _, text in leaves(value)]
    assert sorted(t for t in found if len(t) > 12) == sorted(t for t in strings(value) if len(t) > 12)
    assert set(found) <= set(strings(value))


def test_leaves_have_pointers_in_document_order() -> None:
    value = {"a/b": ["first one, long", {"x~y": "second, long too"}], "a key that is long": "id_42", "n": 1, "z": "é"}
    assert list(leaves(value, "/at")) == [
        ("/at", "a/b"),
        ("/at", "a key that is long"),
        ("/at/a~1b/0", "first one, long"),
        ("/at/a~1b/1", "x~y"),
        ("/at/a~1b/1/x~0y", "second, long too"),
        ("/at/z", "é"),
    ]


@pytest.mark.parametrize(("key", "step"), [("plain", "plain"), ("a/b", "a~1b"), ("~1", "~01"), ("", "")])
def test_pointer_step_is_escaped(key: str, step: str) -> None:
    assert escape(key) == step


def test_pointers_of_a_hostile_body_stay_short() -> None:
    """A key of 1 MB over 50,000 strings would make 50 GB of pointers."""
    value = {"k" * 1_000_000: ["a string that is scanned"] * 50_000}
    found = list(leaves(value))
    assert len(found) == 50_001
    assert sum(len(path) for path, _ in found) == 50_000 * len("/…")
    deep: Any = "a string that is scanned"
    for _ in range(500):
        deep = {"step" * 10: deep}
    ((path, _),) = [leaf for leaf in leaves(deep) if leaf[1] == "a string that is scanned"]
    assert len(path) <= 1026
    assert path.endswith("/…")
