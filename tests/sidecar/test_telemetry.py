"""JSON lines, and counters of closed sets."""

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sidecar import telemetry
from sidecar.pipeline import uninspected
from sidecar.telemetry import Counts, CoverageCounts, JsonLines, lost_records, start_logging
from sidecar.types import (
    Action,
    Assessment,
    ContentCapture,
    Coverage,
    Decision,
    FailureKind,
    Identity,
    Inspection,
    InspectionFailed,
    LlmMessage,
    Mode,
    Outcome,
    Unscanned,
    UnscannedReason,
    Verdict,
)
from tests.sidecar.values import CHAT


def line(event: str = "exchange.done", level: int = logging.INFO, error: Any = None, **fields: Any) -> dict[str, Any]:
    record = logging.LogRecord("douane.exchange", level, "/x.py", 7, event, None, error)
    record.__dict__.update(fields)
    record.created = 1.5
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_line_has_its_event_first_and_values_as_fields() -> None:
    found = line(decision_id="d-1", score=7.0, rules=["a"], path=object)
    assert list(found)[:4] == ["event", "level", "at", "logger"]
    assert found == {
        "event": "exchange.done",
        "level": "info",
        "at": 1.5,
        "logger": "douane.exchange",
        "decision_id": "d-1",
        "score": 7.0,
        "rules": ["a"],
        "path": "<class 'object'>",
    }


def test_line_keeps_what_an_attacker_writes_in_one_line() -> None:
    assert line(reason='x"\n{"event": "forged"}\u2028\ud800')["reason"] == 'x"\n{"event": "forged"}\u2028\ud800'


def prompted(text: str) -> Any:
    try:
        try:
            int(text)
        except ValueError as error:
            raise KeyError(text) from error
    except KeyError:
        return sys.exc_info()


def test_exception_shows_where_but_not_what() -> None:
    """The words of an exception often quote the value that was wrong: here a prompt."""
    found = line("exchange.broken", logging.ERROR, prompted("my prompt"))
    assert "my prompt" not in json.dumps(found)
    assert found["error"].startswith("KeyError")
    assert "ValueError" in found["error"]
    assert "test_telemetry.py" in found["error"]


def test_logging_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        start_logging("WARNING")
        logging.getLogger("douane.x").info("not.this")
        logging.getLogger("douane.x").warning("this.one", extra={"n": 1})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (written,) = capsys.readouterr().out.splitlines()
    found = json.loads(written)
    assert (found["event"], found["level"], found["n"]) == ("this.one", "warning", 1)


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def verdict(inspection: Inspection, applied: Action, outcome: Outcome) -> Verdict:
    decision = Decision(applied, Action.DENY, Mode.OBSERVE)
    return Verdict(
        "d-1", CHAT, "gateway", "openai", Identity(), inspection, decision, outcome,
        "p", "r", ContentCapture.NONE, 0, 250, 300,
    )  # fmt: skip


def change(seen: Any, *names: tuple[str, dict[str, str]]) -> list[float]:
    before = [sample(name, **labels) for name, labels in names]
    seen()
    return [sample(name, **labels) - value for (name, labels), value in zip(names, before, strict=True)]


def test_failures_that_passed_are_counted_as_fail_open() -> None:
    failed = uninspected(InspectionFailed(FailureKind.DEADLINE), 10)
    names = (
        ("douane_verdicts_total", {"action": "allow_unscanned", "level": "low", "mode": "observe"}),
        ("douane_inspection_failures_total", {"kind": "deadline"}),
        ("douane_fail_open_total", {"kind": "deadline"}),
        ("douane_unscanned_bytes_total", {"reason": "failure"}),
        ("douane_inspect_seconds_count", {}),
        ("douane_outcomes_total", {"outcome": "pending"}),
    )
    passed = verdict(failed, Action.ALLOW_UNSCANNED, Outcome.PENDING)
    assert change(lambda: Counts().verdict(passed), *names) == [1, 1, 1, 10, 1, 0]


def test_exceptions_of_the_policy_are_counted_by_their_effect() -> None:
    names = tuple(("douane_policy_exceptions_total", {"effect": effect}) for effect in ("applied", "ended"))
    met = replace(
        verdict(uninspected(InspectionFailed(FailureKind.DEADLINE)), Action.DENY, Outcome.FAILED), waived=(2, 1)
    )
    assert change(lambda: Counts().verdict(met), *names) == [2, 1]


@pytest.mark.parametrize(
    ("applied", "outcome"),
    [(Action.DENY, Outcome.FAILED), (Action.ALLOW_UNSCANNED, Outcome.CLIENT_ABORTED)],
    ids=["refused", "left before it could pass"],
)
def test_failures_that_did_not_pass_are_not(applied: Action, outcome: Outcome) -> None:
    failed = verdict(uninspected(InspectionFailed(FailureKind.DEADLINE)), applied, outcome)
    names = (
        ("douane_fail_open_total", {"kind": "deadline"}),
        ("douane_inspection_failures_total", {"kind": "deadline"}),
        ("douane_outcomes_total", {"outcome": outcome.value}),
    )
    assert change(lambda: Counts().verdict(failed), *names) == [0, 1, 1]


def test_level_and_unscanned_bytes_are_labels() -> None:
    inspection = Inspection(
        LlmMessage("x", ()), Assessment(16.0), Coverage(9, 2, (Unscanned(UnscannedReason.BINARY, 7),))
    )
    names = (
        ("douane_verdicts_total", {"action": "deny", "level": "critical", "mode": "observe"}),
        ("douane_unscanned_bytes_total", {"reason": "binary"}),
    )
    assert change(lambda: Counts().verdict(verdict(inspection, Action.DENY, Outcome.DENIED)), *names) == [1, 7]


def test_records_are_counted() -> None:
    counts = Counts()

    def seen() -> None:
        counts.lost("spool_full")
        counts.published(5, 2)
        counts.publish_failed()
        counts.recovered(3)
        counts.policy_read(good=False)
        counts.broken(FailureKind.INTERNAL)
        counts.watch_spool(lambda: 4, lambda: 2)()

    assert change(
        seen,
        ("douane_records_lost_total", {"reason": "spool_full"}),
        ("douane_records_published_total", {}),
        ("douane_records_rejected_total", {}),
        ("douane_publish_failures_total", {}),
        ("douane_records_recovered_total", {}),
        ("douane_policy_reloads_total", {"result": "refused"}),
        ("douane_inspection_failures_total", {"kind": "internal"}),
    ) == [1, 5, 2, 1, 3, 1, 1]
    assert (sample("douane_spool_waiting_records"), sample("douane_spool_open_records")) == (4, 2)


def test_what_passed_without_inspection_is_counted_by_door_and_kind() -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    names = ("douane_pass_through_connections_total", "douane_pass_through_bytes_total", "douane_envoy_sight_total")
    door, llm = "proxy", "listed"
    before = value(names[0], door=door, llm=llm), value(names[2], door=door, kind="streams_failed")
    counts = CoverageCounts()
    key = (door, llm)
    counts.passed({key: 2}, {key: 30}, {key: 500})
    counts.sights([(door, "streams_failed", 3)])
    counts.failed("delivery")
    assert value(names[0], door=door, llm=llm) == before[0] + 2
    assert value(names[1], door=door, llm=llm, direction="out") >= 30
    assert value(names[1], door=door, llm=llm, direction="in") >= 500
    assert value(names[2], door=door, kind="streams_failed") == before[1] + 3
    assert value("douane_coverage_failures_total", what="delivery") >= 1


def test_what_workers_lost_is_read_from_their_files(tmp_path: Path) -> None:
    """Workers are processes with files of their own; what one that has ended counted stays in the sum."""
    code = "import sys; from sidecar.telemetry import Counts; c = Counts(); c.lost(sys.argv[1]); c.published(5, int(sys.argv[2]))"
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for arguments in (("spool_full", "2"), ("disk", "0")):
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment)
    assert lost_records(str(tmp_path)) == {"records_lost": 2, "records_rejected": 2}


def test_policies_in_force_are_shown_and_those_of_the_past_no_more() -> None:
    counts = telemetry.Counts()
    counts.policies_in_force([("red", "v1"), ("*", "v1")])
    counts.policies_in_force([("red", "v2"), ("*", "v1")])
    shown = {
        pair: telemetry.POLICY_VERSION.labels(*pair)._value.get()
        for pair in [("red", "v1"), ("red", "v2"), ("*", "v1")]
    }
    assert shown == {("red", "v1"): 0.0, ("red", "v2"): 1.0, ("*", "v1"): 1.0}


def test_series_of_policies_are_bounded() -> None:
    counts = telemetry.Counts()
    counts.policies_in_force([(f"bounded-{number:04}", "v1") for number in range(telemetry._POLICIES_SHOWN + 50)])
    samples = [one.labels["tenant"] for metric in telemetry.POLICY_VERSION.collect() for one in metric.samples]
    assert len([one for one in samples if one.startswith("bounded-")]) == telemetry._POLICIES_SHOWN


def test_what_analytics_sent_is_counted_and_when_it_was_heard() -> None:
    counts = telemetry.Counts()
    before = telemetry.CONTROL_APPLIED._value.get()
    counts.control_applied(7, 1_795_000_000.5)
    counts.control_failed("stream")
    values = (
        telemetry.CONTROL_APPLIED._value.get() - before,
        telemetry.SNAPSHOT_VERSION._value.get(),
        telemetry.SNAPSHOT_HEARD._value.get(),
    )
    assert values == (1.0, 7.0, 1_795_000_000.5)
