"""Exchanges under policies with scopes, budgets and users' risk, as dialogues. What is decided is in test_ruling."""

import json
from dataclasses import replace

import pytest

from sidecar.extproc.events import (
    AnswerHead,
    Ended,
    Proceed,
    Refuse,
    RequestBody,
    ResponseBody,
    ResponseHeaders,
    Step,
    Unwritten,
)
from sidecar.extproc.exchange import Exchange
from sidecar.extproc.surroundings import Surroundings
from sidecar.policy import Compiled, OnResponse, Policy, PolicySet, parse_policy
from sidecar.types import Action, FailureKind, InspectionFailed, Mode, Outcome
from tests.sidecar.extproc.test_exchange import AT, FROM_PROVIDER, ROUTE, Dialogue
from tests.sidecar.extproc.test_exchange_answers import EVENTS, JSON, headed, last, said
from tests.sidecar.values import (
    ATTACK,
    CHAT,
    DECISION_ID,
    GENERATE,
    OTHER,
    WARNING,
    answer,
    around,
    chat,
    generate,
    stream,
)

RATE = parse_policy("budgets: [{name: rate, per: user, limit: 1, unit: requests, window: minute}]", Policy())
TOKENS = parse_policy("budgets: [{name: tokens, limit: 100, unit: tokens, window: day}]", Policy())
TENANT = replace(CHAT, headers={**CHAT.headers, "x-tenant-id": "acme"})


def talk(policy: Policy, shared: Surroundings, data: bytes = chat("hello")) -> tuple[Dialogue, Step]:
    dialogue = Dialogue(policy, shared)
    return dialogue, dialogue.ask(data)


def used(shared: Surroundings, name: str = "tokens", key: str = "") -> int:
    count = shared.budgets._counts.get(("default", name, key))
    return 0 if count is None else count.used


def test_over_its_budget_a_client_is_told_when_to_come_again() -> None:
    shared = around()
    assert isinstance(talk(RATE, shared)[1].answer, Proceed)
    dialogue, step = talk(RATE, shared)
    refused = step.answer
    assert isinstance(refused, Refuse)
    assert (refused.status, 0 < refused.wait_s <= 60) == (429, True)
    error = json.loads(refused.body)["error"]
    assert (error["type"], error["code"], error["retry_after_s"]) == (
        "rate_limited",
        "douane_throttled",
        refused.wait_s,
    )
    verdict = dialogue.verdict
    assert (verdict.decision.applied, verdict.outcome, verdict.http_status) == (Action.THROTTLE, Outcome.DENIED, 429)


def test_tokens_are_counted_when_the_answer_ends() -> None:
    shared = around()
    dialogue, _ = talk(TOKENS, shared, chat("hello", max_tokens=80))
    assert used(shared) == 82
    dialogue.say(ResponseBody(AT + 9, answer(), True, FROM_PROVIDER))
    assert used(shared) == 21
    dialogue.say(Ended(AT + 10))
    assert used(shared) == 21


@pytest.mark.parametrize("head", [None, AnswerHead(500, "via_upstream")], ids=["before the answer", "an error"])
def test_an_exchange_that_ends_without_an_answer_holds_nothing(head: AnswerHead | None) -> None:
    shared = around()
    dialogue, _ = talk(TOKENS, shared, chat("hello", max_tokens=80))
    if head is not None:
        dialogue.say(ResponseBody(AT + 9, b"{}", True, head))
    dialogue.say(Ended(AT + 10))
    assert used(shared) == 0


def test_a_request_that_could_not_be_written_down_uses_nothing() -> None:
    shared = around()
    dialogue, _ = talk(RATE, shared)
    assert isinstance(dialogue.say(Unwritten(AT + 600, "full")).answer, Refuse)
    assert used(shared, "rate", "ada") == 0


def test_a_call_that_leads_nowhere_uses_nothing() -> None:
    shared = around()
    dialogue = Dialogue(Policy(mode=Mode.OBSERVE, budgets=RATE.budgets), shared)
    step = dialogue.ask(generate("hello", "nobody's model"), GENERATE, "generate")
    assert isinstance(step.answer, Refuse)
    assert used(shared, "rate", "ada") == 0


def test_each_tenant_meets_its_own_policy() -> None:
    policies = PolicySet(Compiled(Policy(version="all")), {"acme": Compiled(Policy(deny_score=6.0, version="acme"))})
    found = []
    for head in (CHAT, TENANT):
        dialogue = Dialogue()
        dialogue.exchange = Exchange(DECISION_ID, policies, dialogue.around)
        dialogue.ask(chat(WARNING), head)
        found.append((dialogue.verdict.decision.applied, dialogue.verdict.policy_version))
    assert found == [(Action.ALLOW, "all"), (Action.DENY, "acme")]


def test_the_version_names_the_overrides_that_matched() -> None:
    policy = parse_policy("overrides: [{name: mild, match: {user: ada}, set: {content_capture: full}}]", Policy())
    dialogue, _ = talk(policy, around())
    assert dialogue.verdict.policy_version == f"{policy.version}/mild"
    assert dialogue.verdict.capture == "full"


def test_the_deadline_is_known_before_the_body_is_read() -> None:
    policy = parse_policy("overrides: [{name: slow, match: {endpoint: /v1/files}, set: {deadline_ms: 500}}]", Policy())
    deadlines = []
    for head in (CHAT, OTHER):
        exchange = Exchange(DECISION_ID, PolicySet.one(policy), around())
        inspect = exchange.receive(RequestBody(AT, b"{}", head, ROUTE)).inspect
        assert inspect is not None
        deadlines.append(inspect.deadline_us - AT)
    assert deadlines == [250_000, 500_000]


def test_what_breaks_before_the_verdict_meets_the_policy_of_who_asks() -> None:
    """An override by a header's user holds although the body was never read."""
    policy = parse_policy("overrides: [{name: calm, match: {user: ada}, set: {mode: observe}}]", Policy())
    for head, applied in ((CHAT, Action.ALLOW_UNSCANNED), (replace(CHAT, headers={}), Action.DENY)):
        dialogue = Dialogue(policy)
        dialogue.exchange.receive(RequestBody(AT, b"{}", head, ROUTE))
        step = dialogue.exchange.fail(AT + 1, InspectionFailed(FailureKind.INTERNAL))
        assert step.save is not None
        assert step.save.decision.applied is applied  # type: ignore[union-attr]
    left = Dialogue(policy)
    left.exchange.receive(RequestBody(AT, b"{}", CHAT, ROUTE))
    left.say(Ended(AT + 1))
    assert left.verdict.decision.applied is Action.ALLOW_UNSCANNED
    unseen = Dialogue(policy)
    unseen.say(ResponseHeaders(AT, FROM_PROVIDER, end=False, head=CHAT, route=ROUTE))
    assert unseen.verdict.policy_version.endswith("/calm")


def test_a_risky_user_s_answers_meet_the_lower_bar_too() -> None:
    policy = Policy(response=OnResponse.ENFORCE, user_risk=parse_policy(_TIGHT, Policy()).user_risk)
    shared = around()
    held = Dialogue(policy, shared)
    held.ask(chat("hello"))
    assert isinstance(last(held, answer(WARNING)).answer, Proceed)
    for number in range(4):
        talk(policy, shared, chat(f"{ATTACK} {number}"))
    held = Dialogue(policy, shared)
    held.ask(chat("hello"))
    assert isinstance(last(held, answer(WARNING)).answer, Refuse)


_TIGHT = "user_risk: {tighten_from: 30, tighten_to: 60, min_deny_score: 6}"


def test_an_exception_holds_for_answers_whole_and_streamed() -> None:
    excepted = 'exceptions: [{rule: words.attack, until: "2099-12-31", reason: w, who: w}]'
    policy = parse_policy(f"response: enforce\n{excepted}", Policy())
    whole = Dialogue(policy)
    whole.ask(chat("hello"))
    assert isinstance(last(whole, answer(ATTACK)).answer, Proceed)
    assert whole.completion.score == 0.0
    assert whole.completion.reasons[-1].startswith("exception words.attack: words.attack is ignored")
    streamed = Dialogue(policy)
    streamed.ask(chat("hello", stream=True))
    headed(streamed, EVENTS)
    data = stream("so ", ATTACK, " it is")
    assert said(streamed, data) == data


# ── answers that are no text ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("unscanned", "refused"), [("allow_unscanned", False), ("deny", True)])
@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)), b"x\x9c\x03\x00\x00\x00\x00\x01" * 40])
def test_an_answer_that_is_no_text_goes_by_what_the_policy_says_of_the_unscanned(
    data: bytes, unscanned: str, refused: bool
) -> None:
    dialogue = Dialogue(parse_policy(f"response: enforce\nunscanned: {unscanned}", Policy()))
    dialogue.ask(chat("draw"))
    step = last(dialogue, data, replace(JSON, content_type="image/png"))
    found = dialogue.completion
    assert found.coverage.complete is False
    if not refused:
        assert isinstance(step.answer, Proceed)
        assert (found.applied, found.outcome) == (None, Outcome.ANSWERED)
        return
    assert isinstance(step.answer, Refuse)
    error = json.loads(step.answer.body)["error"]
    assert (step.answer.status, error["code"]) == (403, "douane_denied")
    assert error["message"].startswith("Douane: answer refused: not fully inspected")
    assert (found.applied, found.outcome, found.http_status) == (Action.DENY, Outcome.DENIED, 403)


def test_a_stream_with_something_that_is_no_text_is_cut_where_the_policy_denies_it() -> None:
    head = replace(CHAT, path="/v1beta/models/gemini-2.0-flash:streamGenerateContent?alt=sse")
    part = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo" + "A" * 400}}
    events = [
        {"candidates": [{"content": {"parts": [{"text": "here: "}]}}]},
        {"candidates": [{"content": {"parts": [part]}}]},
    ]
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)
    for unscanned, cut in (("allow_unscanned", False), ("deny", True)):
        dialogue = Dialogue(parse_policy(f"response: enforce\nunscanned: {unscanned}", Policy()))
        dialogue.ask(json.dumps({"contents": [{"parts": [{"text": "draw"}]}]}).encode(), head, "gateway/gemini")
        headed(dialogue, EVENTS)
        out = said(dialogue, data)
        assert (b"inlineData" not in out, b"not fully inspected" in out) == (cut, cut)
        assert (dialogue.completion.outcome is Outcome.DENIED) is cut
