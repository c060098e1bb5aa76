"""Gates: never too narrow, whatever the pattern's shape."""

import pytest

from sidecar.detectors import DETECTORS
from sidecar.detectors.gates import FAR, STEM_MAX, WORDS_HELD, Words, branches, gates, reach, unread
from sidecar.detectors.pack import Rule
from sidecar.detectors.patterns import PatternDetector
from sidecar.types import Surface, ThreatType, View


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\bsystem\s+prompt\b", [{"prompt "}, {"system "}]),
        (r"\b(?:ignor(?:e|ing)|forget)\s+rules?\b", [{"ignor", "forget "}, {"rule"}]),
        (r"\bdo(?:\s+not)?\s+tell\b", [{"tell "}, {"do "}]),
        (r"\w+gpt\b", []),
        (r"x?\bcat{2}\b", [{"cat"}]),
        (r"\b(?:cat|\d+)\s+dog", [{"dog"}]),
        (r"忽略(?:所有)?指令", [{"忽略"}, {"指令"}]),
        (r"[^a]\bhouse[abc]", [{"house"}]),
        (r"\x{200b}\bab(?:\s*c)*\bxyz+", [{"xyz"}, {"ab"}]),
        (r"a{2,}\bword\b.{0,9}?\bnext\b", [{"next "}, {"word "}]),
        (r"(?i:select)\n", []),
        (r"\pLfoo|\bbar", []),
    ],
)
def test_gates_of_a_pattern(pattern: str, expected: list[set[str]]) -> None:
    assert [set(gate) for gate in gates(pattern)] == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\bdrop\s+(?:\S+\s+){0,4}it\b", 6),
        (r"\ba\b.{0,60}b", 31),
        (r"\ba(?:\s+b){9}c-d", 11),
        (r"\ba.*b", FAR),
        (r"\ba[^.]*b", FAR),
        (r"\ba[^\s.]*b", 1),
        (r"\ba(?:\s+b)*", FAR),
        (r"\ba\W*b", FAR),
        (r"\ba\D+b", FAR),
        (r"\ba[\W_]*b", FAR),
        (r"\ba[.\n]*b", FAR),
        (r"\ba\S*b", 1),
        (r"\ba[^\W]*b", 1),
        ("", 1),
    ],
)
def test_reach_of_a_pattern(pattern: str, words: int) -> None:
    assert reach(pattern) == words


def test_branches_split_the_top_level_only() -> None:
    assert branches(r"a(?:b|c)|[|]d") == (r"a(?:b|c)", "[|]d")
    assert branches(r"\[[^\]]\]{2}") == (r"\[[^\]]\]{2}",)


def test_long_stems_are_cut_at_a_character() -> None:
    assert all(len(stem.strip().encode()) <= STEM_MAX for stem in gates("忽略以前的所有指令吧")[0])


def test_words_open_by_head_and_by_whole() -> None:
    words = Words({b"rule": frozenset({1}), b"do ": frozenset({2})})
    assert [words[token] for token in (b"rules", b"do", b"dog", b"r")] == [{1}, {2}, set(), set()]
    assert words[b"(don't/do)rules:"] == {1, 2}


def test_words_are_kept_within_bounds() -> None:
    words = Words({b"aa": frozenset({1})})
    words.update((str(number).encode(), frozenset()) for number in range(WORDS_HELD))
    assert (words[b"bb"], words[b"aab"]) == (frozenset(), {1})
    assert b"bb" not in words
    assert len(words) == WORDS_HELD


def test_few_patterns_stand_behind_no_gate() -> None:
    """Each of these runs over every text: more than a handful would cost all of them."""
    detector = DETECTORS[0]
    assert isinstance(detector, PatternDetector)
    assert len(detector._direct) <= 24


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"drop\x41ll", "dropAll"),
        (r"drop\x{41}ll", "dropAll"),
        (r"drop[[:alpha:]]ll", "dropall"),
        (r"[^[:space:]]rop", "drop"),
        (r"[\]d]rop", "drop"),
        (r"[]d]rop", "drop"),
        (r"\p{Greek}rop", "αrop"),
        (r"\pLrop", "drop"),
        (r"drop{it}", "drop{it}"),
        (r"drop{,2}", "drop{,2}"),
        (r"a{2}", "aa"),
    ],
)
def test_users_syntax_does_not_close_a_gate(pattern: str, text: str) -> None:
    rule = Rule("t.a", ThreatType.JAILBREAK, {Surface.USER: 5.0}, (pattern,), "", 1.0)
    view = View("as_sent", text, range(len(text)), Surface.USER)
    assert [found.rule_id for found in PatternDetector("t", [rule]).detect(view)] == ["t.a"]


@pytest.mark.parametrize(
    ("pattern", "piece"),
    [
        (r"(?i)drop", "(?i)"),
        (r"a(?P<name>b)", "(?P<name>b)"),
        (r"\Qdrop\E", r"\Q"),
        (r"drop\101", r"\1"),
        (r"(?i:drop) (?:it) \\Q", ""),
        (r"plain", ""),
    ],
)
def test_what_gates_cannot_read_is_named(pattern: str, piece: str) -> None:
    assert unread(pattern) == piece
