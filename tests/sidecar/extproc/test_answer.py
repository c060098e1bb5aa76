"""What has come of an answer. How it fits into an exchange is in test_exchange."""

from sidecar.extproc.answer import Ending, IncomingAnswer
from sidecar.extproc.events import AnswerHead, ResponseBody
from sidecar.policy import Policy
from sidecar.types import Completion, Outcome
from tests.sidecar.values import CHAT, WARNING, answer, around, stream

STARTED = 1_000_000
OK = AnswerHead(200, "via_upstream")


def taken(*chunks: bytes, head: AnswerHead = OK) -> IncomingAnswer:
    found = IncomingAnswer()
    for number, chunk in enumerate(chunks):
        event = ResponseBody(STARTED + 10 * (number + 1), chunk, False, head if number == 0 else None)
        found.take(event, CHAT, STARTED)
    return found


def completed(found: IncomingAnswer, aborted: str = "") -> Completion:
    return found.complete(Ending(STARTED + 900, STARTED, STARTED + 5, aborted), None, Policy(), around())


def test_an_answer_is_whole_with_the_bytes_that_end_it() -> None:
    parts = stream("a", "b").split(b"data: [DONE]")
    more = ResponseBody(STARTED, b"", False)
    assert [taken(*chunks).ends(more) for chunks in ((parts[0],), (parts[0], b"data: [DONE]\n\n"), ())] == [
        False,
        True,
        False,
    ]


def test_the_completion_has_times_since_the_request() -> None:
    found = completed(taken(b"", answer("hello")))
    assert (found.verdict_us, found.first_byte_us, found.total_us) == (5, 20, 900)
    assert (found.outcome, found.http_status, found.reply.model) == (Outcome.ANSWERED, 200, "gpt-4o-2024")


def test_an_answer_is_scanned_when_it_is_complete() -> None:
    assert completed(taken(answer(WARNING))).score == 7.0


def test_envoys_own_words_are_flags_and_an_abort_is_a_reason() -> None:
    found = completed(taken(b"{}", head=AnswerHead(503, "upstream_reset")), aborted="the stream ended")
    assert (found.response_flags, found.outcome) == ("upstream_reset", Outcome.CLIENT_ABORTED)
    assert found.reasons[-1] == "the stream ended"


def test_a_provider_s_error_is_an_upstream_error() -> None:
    assert taken(b"{}", head=AnswerHead(500, "via_upstream")).outcome is Outcome.UPSTREAM_ERROR
