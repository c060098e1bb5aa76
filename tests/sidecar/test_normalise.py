"""Normalising: what a model reads is what a pattern sees, and every character knows where it came from."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.normalise import FOLDED, fold, views
from sidecar.types import Segment, Span, Surface, View


def folded(text: str) -> str:
    return views(Segment(text, Surface.USER))[-1].text


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("ｉｇｎｏｒｅ ａｌｌ", "ignore all"),
        ("𝐢𝐠𝐧𝐨𝐫𝐞", "ignore"),
        ("іgnоrе", "ignore"),
        ("сорус", "copyc"),
        ("ig\u200bno\u2060re", "ignore"),
        ("\U000e0069\U000e0067\U000e006e ok", "ign ok"),
        ("précédentes", "precedentes"),
        ("i\u0301gnore", "ignore"),
        ("i.g.n.o.r.e all", "ignore all"),
        ("I g n o r e   a l l   o f   i t", "ignore all of it"),
        ("1gn0r3 4ll ru1e5", "ignore all ruies"),
        ("by+e the 8est €nd", "byte the best end"),
        ("wide" + " " * 30 + "blanks here", "wide blanks here"),
        ("🇮🇬 x", "ig x"),
        ("تجاهُل", "تجاهل"),
    ],
)
def test_folding_reads_through_disguise(text: str, reading: str) -> None:
    assert folded(text) == reading


@pytest.mark.parametrize(
    "text", ["Plain words, and a list:\n- one\n- two", "x = a[0] + 17", "игнорируй все", "が か", ""]
)
def test_honest_text_has_no_second_view(text: str) -> None:
    assert views(Segment(text, Surface.USER)) == (View("as_sent", text, range(len(text)), Surface.USER),)


def test_russian_words_stay_russian_beside_disguised_latin() -> None:
    assert folded("игнорируй рrompt") == "игнорируй prompt"


def test_evidence_leads_back_to_the_source() -> None:
    text = "x ｉg\u200bn ore\u0301 y"
    view = views(Segment(text, Surface.USER))[1]
    start = view.text.index("ign ore")
    assert view.kind == FOLDED
    assert view.span(start, start + 7) == Span(2, 10)
    assert text[2:10] == "ｉg\u200bn ore\u0301"[:8]


def test_origin_behind_removed_separators() -> None:
    view = views(Segment("ab s.e.c.r.e.t cd", Surface.USER))[1]
    assert view.text == "ab secret cd"
    assert view.span(3, 9) == Span(3, 14)
    assert list(view.origin[3:5]) == [3, 5]


def test_lone_surrogates_are_kept() -> None:
    assert fold("\ud800 É") == "\ud800 e"
    assert fold("\ud800 s.e.c.r.e.t 1gn0r3") == "\ud800 secret ignore"


@given(st.text())
def test_origins_point_into_the_text_and_never_run_back(text: str) -> None:
    for view in views(Segment(text, Surface.USER)):
        origin = list(view.origin)
        assert len(origin) == len(view.text)
        assert origin == sorted(origin)
        assert all(0 <= index < len(text) for index in origin)


@given(st.text(alphabet=st.sampled_from("abcé\u0301 Іо\u200bＡ")))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("unit", ["a", "é", " ", "a ", "a.", "@a", "4a ", "\u200b", "\u0301", "a  ", "аa "])
def test_a_million_characters_take_a_moment(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begin = time.process_time()
    views(Segment(text, Surface.USER))
    assert time.process_time() - begin < 5


WIDE = "".join(chr(ord(char) + 0xFEE0) for char in "ignore")


@pytest.mark.parametrize("before", ["", "жить " * 700, "请 " * 2500, "é " * 3000])
def test_what_is_new_is_told_however_much_stands_before(before: str) -> None:
    view = views(Segment(f"{before}{WIDE} it", Surface.USER))[1]
    assert view.news is None or any(view.text[start:end] == "ignore" for start, end in view.news)
