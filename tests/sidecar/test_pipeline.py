"""The line one request goes down, with real stations and detectors one can predict."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from sidecar.detectors.ruleset import Ruleset
from sidecar.pipeline import Pipeline, uninspected
from sidecar.risk.memo import Memo
from sidecar.types import (
    Assessment,
    Coverage,
    FailureKind,
    Finding,
    Inspection,
    InspectionFailed,
    LlmMessage,
    LlmReply,
    Segment,
    Span,
    Surface,
    ThreatType,
    Unscanned,
    UnscannedReason,
    View,
)
from tests.sidecar.values import ADDRESS, ATTACK, CHAT, LEAK, OTHER, WARNING, Broken, Words, chat


def pipeline(*detectors: object, now_us: Callable[[], int] = lambda: 0) -> Pipeline:
    return Pipeline(now_us, Ruleset(detectors or (Words(),), "rules-1"))  # type: ignore[arg-type]


def lost(size: int) -> Coverage:
    return Coverage(size, 0, (Unscanned(UnscannedReason.FAILURE, size),))


def test_request_is_read_scanned_and_scored() -> None:
    found = pipeline().inspect(CHAT, chat(f"{ATTACK} and {WARNING}"), 1)
    assert found.message.protocol == "openai_chat"
    assert {t.finding.rule_id for t in found.assessment.threats} == {"words.attack", "words.warning"}
    size = len(chat(f"{ATTACK} and {WARNING}"))
    assert (found.coverage, found.failure) == (Coverage(size, size), None)


def test_clean_request_has_no_threats() -> None:
    data = chat("hello")
    found = pipeline().inspect(CHAT, data, 1)
    assert (found.assessment, found.coverage, found.failure) == (Assessment(), Coverage(len(data), len(data)), None)


def test_every_finding_is_kept_for_masking() -> None:
    found = pipeline().inspect(CHAT, chat(f"{ATTACK} {ATTACK}"), 1)
    assert len(found.assessment.threats) == 1
    assert [(segment.path, finding.span.start) for segment, finding in found.assessment.found] == [
        ("/messages/0/content", 0),
        ("/messages/0/content", len(ATTACK) + 1),
    ]


def test_query_is_scanned_too() -> None:
    found = pipeline().inspect(replace(OTHER, path=f"/v1/x?q={ATTACK}"), b"", 1)
    assert [t.segment for t in found.assessment.threats] == [Segment(f"q={ATTACK}", Surface.USER, -1, "?")]


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_plain_encodings_are_read(encoding: str) -> None:
    head = replace(CHAT, headers={"content-encoding": encoding})
    assert pipeline().inspect(head, chat("hello"), 1).failure is None


@pytest.mark.parametrize("encoding", ["deflate", "gzip, br", "identity, gzip", "x"])
def test_other_encodings_fail_even_when_they_lie(encoding: str) -> None:
    """The provider would decode; what we read here is not what it reads."""
    head = replace(CHAT, headers={"content-encoding": encoding})
    failure = InspectionFailed(FailureKind.UNSUPPORTED_ENCODING, "content-encoding is none of gzip, br, zstd, identity")
    assert pipeline().inspect(head, chat("hello"), 1) == uninspected(failure, len(chat("hello")))


def test_a_compressed_body_is_read_plain_and_kept_for_the_provider() -> None:
    data = chat(f"{ATTACK}")
    head = replace(CHAT, headers={"content-encoding": "GZIP"})
    found = pipeline().inspect(head, gzip.compress(data), 1)
    assert (found.plain, found.coverage) == (data, Coverage(len(data), len(data)))
    assert [threat.finding.rule_id for threat in found.assessment.threats] == ["words.attack"]
    assert pipeline().inspect(CHAT, data, 1).plain is None


def test_a_compressed_body_grows_to_the_gateway_s_limit_only() -> None:
    head = replace(CHAT, headers={"content-encoding": "gzip"})
    small = replace(pipeline(), max_plain_bytes=1000)
    found = small.inspect(head, gzip.compress(chat("x" * 1000)), 1)
    assert found.failure == InspectionFailed(FailureKind.TOO_LARGE, "the body grows beyond 1000 bytes, gzip taken off")


def test_malformed_body_fails_without_its_content() -> None:
    found = pipeline().inspect(CHAT, b'{"secret', 1)
    assert found == uninspected(InspectionFailed(FailureKind.MALFORMED_BODY, "Input data was truncated"), 8)


def test_detector_that_raises_fails_the_inspection_without_its_words() -> None:
    found = pipeline(Broken()).inspect(CHAT, chat("hello"), 1)
    assert found.failure == InspectionFailed(FailureKind.DETECTOR_ERROR, "broken: KeyError")
    assert (found.coverage, found.message.model, found.assessment) == (lost(len(chat("hello"))), "gpt-4o", Assessment())


@dataclass
class Ticking:
    """A detector that takes its time, and the clock that tells."""

    us: int = 0
    calls: int = 0
    name: str = "ticking"

    def detect(self, view: View) -> tuple[Finding, ...]:
        self.us += 100
        self.calls += 1
        return ()


def test_deadline_stops_the_line_between_detectors() -> None:
    ticking = Ticking()
    data = chat("hello", extra=["a second text, long", "a third text, long too"])
    found = pipeline(ticking, Words(), now_us=lambda: ticking.us).inspect(CHAT, data, 150)
    assert found.failure == InspectionFailed(FailureKind.DEADLINE, "after detector ticking")
    assert (ticking.calls, found.coverage) == (2, lost(len(data)))


def test_deadline_reached_exactly_is_in_time() -> None:
    ticking = Ticking()
    assert pipeline(ticking, now_us=lambda: ticking.us).inspect(CHAT, chat("hello"), 100).failure is None


REPLY = LlmReply((Segment(f"say {ATTACK}", Surface.OUTPUT),), unscanned=(Unscanned(UnscannedReason.LIMIT, 7),))


def test_reply_is_scanned_and_its_coverage_told() -> None:
    assessment, coverage = pipeline().inspect_reply(REPLY, 100, 1)
    assert (assessment.score, coverage) == (20.0, Coverage(100, 93, (Unscanned(UnscannedReason.LIMIT, 7),)))


def test_reply_that_cannot_be_scanned_is_not_called_clean() -> None:
    assert pipeline(Broken()).inspect_reply(REPLY, 100, 1) == (Assessment(), lost(100))


def test_one_text_is_inspected_as_in_a_request() -> None:
    segment = Segment(f"é {ATTACK}", Surface.DOCUMENT)
    found = pipeline().inspect_text(segment, 1)
    assert (found.assessment.score, found.coverage, found.message.segments) == (20.0, Coverage(9, 9), (segment,))


def test_one_text_that_cannot_be_inspected_is_not_called_clean() -> None:
    found = pipeline(Broken()).inspect_text(Segment("é", Surface.USER), 1)
    assert (found.failure, found.coverage) == (
        InspectionFailed(FailureKind.DETECTOR_ERROR, "broken: KeyError"),
        lost(2),
    )


def test_uninspected_is_never_complete() -> None:
    failure = InspectionFailed(FailureKind.INTERNAL)
    assert uninspected(failure) == Inspection(LlmMessage("none", ()), Assessment(), lost(0), failure)
    assert uninspected(failure).coverage.complete is False


def test_leaks_of_the_types_asked_for_are_found_in_a_piece_of_an_answer() -> None:
    find = pipeline().leak_finder(frozenset((ThreatType.SECRET_LEAK,)))
    assert find(f"{ATTACK} {LEAK} {ADDRESS}") == ((Span(7, 7 + len(LEAK)), "secret_leak"),)


def test_a_piece_that_cannot_be_read_is_all_leak() -> None:
    assert pipeline(Broken()).leak_finder(frozenset((ThreatType.PII_LEAK,)))("four") == ((Span(0, 4), "unscanned"),)


def test_only_detectors_that_can_report_a_leak_are_asked() -> None:
    injections = Words()
    object.__setattr__(injections, "RULES", (type("Rule", (), {"id": "x.y", "type": ThreatType.JAILBREAK})(),))
    assert pipeline(injections).leak_finder(frozenset((ThreatType.SECRET_LEAK,)))(LEAK) == ()


def test_a_chat_is_looked_at_turn_by_turn() -> None:
    words = Words()
    seen = list[str]()

    class Counting:
        name = "counting"

        def detect(self, view: View) -> tuple[Finding, ...]:
            seen.append(view.text)
            return words.detect(view)

    line = Pipeline(lambda: 0, Ruleset((Counting(),), "rules-1"), Memo(b"key"))
    turns = [{"role": "user", "content": f"turn {number}"} for number in range(3)]
    for last in range(1, 4):
        body = json.dumps({"model": "m", "messages": turns[:last]}).encode()
        assert line.inspect(CHAT, body, 1).failure is None
    assert seen == ["turn 0", "turn 1", "turn 2"]


def test_a_request_without_a_body_has_nothing_to_read() -> None:
    """Listing stored completions is a GET of the path that completions are POSTed to."""
    found = pipeline().inspect(replace(CHAT, method="GET"), b"", 1)
    assert (found.failure, found.message.protocol, found.message.segments) == (None, "openai_chat", ())
    assert pipeline().inspect(CHAT, b"", 1).failure is not None
