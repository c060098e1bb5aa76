"""Fail closed in enforce mode, fail open in observe mode; and what the record says."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.calls import call, chat
from tests.support.installation import Installation, eventually

pytestmark = pytest.mark.server


@contextmanager
def stopped(installation: Installation) -> Iterator[None]:
    """Freeze every worker: to Envoy they are there and do not answer."""
    workers = [pid for name, pid in installation.children().items() if name.startswith("worker")]
    import os

    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def test_enforce_answers_503_within_a_second_when_the_sidecar_is_frozen(enforcing: Installation) -> None:
    with stopped(enforcing):
        begun = time.monotonic()
        reply = call(enforcing.gateway, body=chat("is anybody there?"))
        took = time.monotonic() - begun
    assert (reply.status, reply.error["type"]) == (503, "douane_gateway_error")
    assert took < 1.0


def test_observe_passes_when_the_sidecar_is_frozen(observing: Installation) -> None:
    with stopped(observing):
        assert call(observing.gateway, body=chat("is anybody there?")).status == 200


def test_a_killed_sidecar_fails_closed_or_open_and_comes_back(enforcing: Installation, observing: Installation) -> None:
    for installation, status in ((enforcing, 503), (observing, 200)):
        before = installation.children()["worker-0"]
        installation.kill("worker-0")
        begun = time.monotonic()
        reply = call(installation.gateway, body=chat("who is there?"))
        assert reply.status == status
        assert time.monotonic() - begun < 1.0
        eventually(lambda i=installation, b=before: i.children().get("worker-0", b) != b, 10)
        eventually(lambda i=installation: _inspected_again(i), 20)


def _inspected_again(installation: Installation) -> bool:
    """In observe mode a request passes without the sidecar too: only a record shows that it was inspected."""
    call(installation.gateway, body=chat("back?"), x_user_id="back")
    return bool(installation.records(user="back"))


def test_the_mode_of_a_changed_policy_reaches_envoy_too(enforcing: Installation) -> None:
    """Fail open or closed is Envoy's own setting: it must follow the policy file without a restart."""
    policy = enforcing.data / "policy.yaml"
    text = policy.read_text()
    try:
        policy.write_text(text + "\nmode: observe\n")
        time.sleep(1.5)
        with stopped(enforcing):
            assert call(enforcing.gateway, body=chat("open now?")).status == 200
    finally:
        policy.write_text(text)
    time.sleep(1.5)
    with stopped(enforcing):
        assert call(enforcing.gateway, body=chat("closed again?")).status == 503


def test_a_broken_policy_keeps_the_old_one_in_force(enforcing: Installation) -> None:
    policy = enforcing.data / "policy.yaml"
    text = policy.read_text()
    version = _version(enforcing, "policy-before")
    try:
        for broken in ("mode: sometimes\n", "deny_score: [", "unknown_setting: 1\n", "deadline_ms: 0\n"):
            policy.write_text(broken)
            time.sleep(0.7)
            assert _version(enforcing, f"policy-{len(broken)}") == version
        assert 'douane_policy_reloads_total{result="refused"}' in enforcing.metrics()
    finally:
        policy.write_text(text)


def test_a_new_policy_is_in_force_within_a_second(enforcing: Installation) -> None:
    policy = enforcing.data / "policy.yaml"
    text = policy.read_text()
    before = _version(enforcing, "policy-old")
    try:
        policy.write_text(text + "\ncontent_capture: full\n")
        time.sleep(1.0)
        call(enforcing.gateway, body=chat("keep my words"), x_user_id="captured")
        record = enforcing.settled("captured")[0]
        assert record["detail"]["content"] == {"capture": "full", "prompt": "keep my words", "response": "Hello — you."}
        assert record["detail"]["policy_version"] != before
    finally:
        policy.write_text(text)


def _version(installation: Installation, user: str) -> str:
    call(installation.gateway, body=chat("hello"), x_user_id=user)
    found: str = installation.settled(user)[0]["detail"]["policy_version"]
    return found
