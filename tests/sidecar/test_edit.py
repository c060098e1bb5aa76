"""Editing: spans are replaced, and nothing else changes, in a text and in the body that it came from."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edit import apply, edited, edited_body, edited_texts, merge, redact, redactions, splice
from sidecar.types import Edit, Finding, Segment, Span, Surface, ThreatType

TEXT = "my key is abc and my mail is xyz"
SEGMENT = Segment(TEXT, Surface.USER, 0, "/messages/0/content")


def finding(start: int, end: int, kind: ThreatType = ThreatType.SECRET_LEAK) -> Finding:
    return Finding(kind, "secrets", "secrets.x", Span(start, end), 9)


def test_redaction_names_the_type() -> None:
    findings = [finding(10, 13), finding(29, 32, ThreatType.PII_LEAK)]
    assert redact(TEXT, findings) == "my key is [REDACTED:secret_leak] and my mail is [REDACTED:pii_leak]"


def test_overlapping_findings_are_redacted_once() -> None:
    assert redact(TEXT, [finding(10, 12), finding(11, 13), finding(10, 13), finding(5, 5)]) == (
        "my key is [REDACTED:secret_leak] and my mail is xyz"
    )


def test_spans_beyond_the_text_are_cut() -> None:
    assert apply("abc", [(Span(1, 99), "x"), (Span(200, 300), "y")]) == "ax"


def test_edits_of_a_segment_become_its_new_text() -> None:
    edits = redactions(SEGMENT, [finding(10, 13)])
    assert edits == (Edit(SEGMENT, Span(10, 13), "[REDACTED:secret_leak]"),)
    nowhere = Edit(Segment("a", Surface.USER), Span(0, 1), "b")
    assert edited_texts((*edits, nowhere)) == {
        "/messages/0/content": "my key is [REDACTED:secret_leak] and my mail is xyz"
    }


def test_segments_are_edited_where_an_edit_says_so() -> None:
    other = Segment("abc", Surface.USER)
    changed, kept = edited((SEGMENT, other), [Edit(SEGMENT, Span(10, 13), "x")])
    assert (changed.text, changed.path, kept) == ("my key is x and my mail is xyz", SEGMENT.path, other)


@given(st.text(), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6))
def test_nothing_outside_the_spans_changes(text: str, pairs: list[tuple[int, int]]) -> None:
    spans = [Span(start, end) for start, end in pairs]
    kept = "".join(char for index, char in enumerate(text) if not any(s.start <= index < s.end for s in spans))
    assert apply(text, [(span, "") for span in spans]) == kept


def test_merged_spans_are_disjoint_and_in_order() -> None:
    assert merge([(Span(5, 8), "b"), (Span(0, 2), "a"), (Span(6, 9), "c")]) == ((Span(0, 2), "a"), (Span(5, 9), "b"))


def test_a_body_is_spliced_and_keeps_every_other_byte() -> None:
    body = b' {"a~/b" :[ 1.0, {"t":"old \\"one\\" \\\\"} ,"x"],\n "n":1e2,"t":"stay"} '
    new = splice(body, {"/a~0~1b/1/t": 'né"w', "/a~0~1b/2": "y"})
    assert new == b' {"a~/b" :[ 1.0, {"t":"n\\u00e9\\"w"} ,"y"],\n "n":1e2,"t":"stay"} '


def test_the_last_of_a_key_given_twice_is_edited() -> None:
    assert splice(b'{"t":"a","t":"b"}', {"/t": "c"}) == b'{"t":"a","t":"c"}'


def test_a_body_that_is_one_string() -> None:
    assert splice(b'"old"', {"": "new"}) == b'"new"'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.text())
def test_splicing_is_what_editing_the_value_is(value: object, text: str) -> None:
    body = json.dumps({"k": ["a", value, "b"], "v": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert json.loads(splice(body, {"/k/2": text})) == {"k": ["a", value, text], "v": value}


@pytest.mark.parametrize("body", [b'{"t":"a"', b'{"t":"a}', b"]", b'"a",', b'{"t":"a"}}'])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte|container"):
        splice(body, {"/t": "b"})


def test_a_pointer_to_nothing_is_refused() -> None:
    with pytest.raises(KeyError):
        splice(b'{"t":1}', {"/t": "b"})


def test_depth_and_escapes_are_walked_in_a_moment() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert splice(b'{"d":' + deep + b',"t":"a"}', {"/t": "b"}) == b'{"d":' + deep + b',"t":"b"}'
    escapes = b'{"e":"' + b'\\"' * 200_000 + b'","t":"a"}'
    assert splice(escapes, {"/t": "b"}).endswith(b'"t":"b"}')


BODY = b'{"messages": [ {"content":"say abc"} ] , "n": 1.0}'


def edit_at(path: str, text: str = "say abc") -> Edit:
    return Edit(Segment(text, Surface.USER, 0, path), Span(4, 7), "xyz")


def test_a_body_is_edited_in_place() -> None:
    assert edited_body(BODY, [edit_at("/messages/0/content")]) == BODY.replace(b"abc", b"xyz")


@pytest.mark.parametrize(
    "path", ["", "/messages/0/text", "/messages/1/content", "/messages/x", "/n/1", "/messages/0", "?", "/n/\u2026"]
)
def test_an_edit_that_leads_to_no_such_text_is_refused(path: str) -> None:
    with pytest.raises(KeyError):
        edited_body(BODY, [edit_at(path)])


def test_a_segment_that_is_not_what_stands_in_the_body_is_refused() -> None:
    with pytest.raises(KeyError):
        edited_body(BODY, [edit_at("/messages/0/content", "say abd")])


@pytest.mark.parametrize(
    "body", [b"text", b'{"a":1}\n{"a":2}', b"[" * 100_000, b'{"a": "say abc", "b": [0' + b",0" * 500_000 + b"]}"]
)
def test_what_is_not_one_json_value_or_has_too_many_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        edited_body(body, [edit_at("/a")])
