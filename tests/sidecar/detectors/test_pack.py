"""Packs: what is wrong with one is said with file, rule, field and remedy."""

import pytest

from sidecar.detectors.pack import PackError, Rule, check_unique, expand, load_pack, load_words
from sidecar.types import Surface, ThreatType

WORDS = {"drop": "(?:ignore|forget)", "round": "(?:<round>)", "grows": "(?:" + "<grows>|" * 99 + "x)"}
GOOD = {
    "id": "test.rule",
    "type": "jailbreak",
    "weight": "7",
    "pattern": "'<drop> it'",
    "source": "here",
    "why": "a test",
}


def pack(**changes: str) -> str:
    fields = "\n    ".join(f"{name}: {value}" for name, value in (GOOD | changes).items() if value)
    return f"family: test\nrules:\n  - {fields}\n"


def test_words_of_a_pack_are_its_own() -> None:
    text = """
family: t
words: {t_gift: 'voucher | <kind> card', kind: gift | store}
rules:
  - {id: t.a, type: jailbreak, weight: 5, pattern: 'a <t_gift>', source: s, why: w}
"""
    (rule,) = load_pack(text, {"kind": "(?:other)"}, "test.yaml")
    assert rule.patterns == (r"a\s+(?:voucher|(?:gift|store)\s+card)",)
    with pytest.raises(PackError, match="no word list is called"):
        load_pack(text.replace("{t_gift", "{t_other"), {}, "test.yaml")


def test_a_rule_is_read() -> None:
    text = pack(
        surfaces="[user]",
        weights="{tool_call: 9}",
        patterns="['b c?']",
        unless="'<drop>'",
        must_fire="[drop it]",
        must_not_fire="[keep it]",
    )
    assert load_pack(text, WORDS, "test.yaml") == (
        Rule(
            "test.rule",
            ThreatType.JAILBREAK,
            {Surface.USER: 7.0, Surface.TOOL_CALL: 9.0},
            (r"(?:ignore|forget)\s+it", r"b\s+c?"),
            "(?:ignore|forget)",
            1.0,
            "here",
            ("drop it",),
            ("keep it",),
            "test.yaml",
        ),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "other.rule"}, r"test.yaml: rule other.rule: id: write it as test.name"),
        ({"weight": "0"}, r"rule test.rule: weight: use a number above 0 and up to 20"),
        ({"weight": "21"}, r"rule test.rule: weight"),
        ({"weight": "heavy"}, r"rule test.rule: Expected `float`"),
        ({"type": "rudeness"}, r"rule test.rule: Invalid enum value 'rudeness' .*known: prompt_injection, "),
        ({"surfaces": "[moon]"}, r"rule test.rule: Invalid enum value 'moon' .*known: system, user, "),
        ({"pattern": ""}, r"rule test.rule: pattern: give"),
        ({"pattern": "<nowhere>"}, r"rule test.rule: pattern: no word list is called 'nowhere'"),
        ({"source": "' '"}, r"rule test.rule: source/why"),
        ({"colour": "red"}, r"rule test.rule: .*unknown field `colour`.*known: id, type, weight"),
        ({"pattern": "'(?i)x'"}, r"rule test.rule: pattern: write '\(\?i\)' in another way"),
        ({"pattern": "<round>"}, r"rule test.rule: pattern: word lists nest deeper than 6"),
        ({"pattern": "<grows>"}, r"rule test.rule: pattern: with its word lists it is longer"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, str], said: str) -> None:
    with pytest.raises(PackError, match=said):
        load_pack(pack(**changes), WORDS, "test.yaml")


@pytest.mark.parametrize("text", ["a: [", "just words", "rules: []", "family: x\nrules: [1]"])
def test_what_is_no_pack_is_refused_with_its_file(text: str) -> None:
    with pytest.raises(PackError, match=r"^bad\.yaml: "):
        load_pack(text, WORDS, "bad.yaml")


def test_word_lists() -> None:
    assert load_words("a: x | y z\n") == {"a": "(?:x|y z)"}
    with pytest.raises(PackError, match="words"):
        load_words("a: [1]")


def test_expansion_of_blanks_and_lists() -> None:
    words = {"a": "(?:<b>|c)", "b": "(?:d)"}
    assert expand(r"<a> [ x] e ?\ f *", words) == r"(?:(?:d)|c)\s+[ x]\s+e\s*\ f\s*"


def test_an_id_twice_is_refused() -> None:
    rule = Rule("a.a", ThreatType.JAILBREAK, {}, ("x",), "", 1.0)
    with pytest.raises(PackError, match=r"rule a\.a: id: it is used twice"):
        check_unique([rule, rule])
