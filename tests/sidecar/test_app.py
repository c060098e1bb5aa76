"""One worker, constructed and run."""

import asyncio
import os
import signal
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from douane.envoy import ext_proc_pb2 as pb

from sidecar.app import (
    Worker,
    decision_ids,
    digest_key,
    load_models,
    models_path,
    policy_path,
    snapshot_path,
    socket_path,
)
from sidecar.config import Settings
from sidecar.control.snapshot import Held, HeldPolicy, HeldUse, HeldUser, read, write
from sidecar.policy import policy_version
from sidecar.protocols.generate import Target
from sidecar.record.spool import Spool
from sidecar.types import Head
from tests.sidecar.values import chat

NOW_NS = 1_645_557_742_000_000_000  # RFC 9562's own example, appendix A.6
EXAMPLE = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".replace("-", "")


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(_env_file=None, data=folder, **changes)


def test_decision_ids_are_uuids_of_version_7() -> None:
    """The RFC's example: its random bits give its UUID."""
    entropy = int("0cc318c4dc0c0c07398f", 16).to_bytes(10)
    assert decision_ids(lambda: NOW_NS, lambda size: entropy[:size])() == EXAMPLE


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_version_and_variant_stand_whatever_the_random_bits(byte: bytes) -> None:
    found = decision_ids(lambda: NOW_NS, lambda size: byte * size)()
    assert (len(found), found[:12], found[12]) == (32, EXAMPLE[:12], "7")
    assert int(found[16], 16) >> 2 == 0b10


def test_decision_ids_sort_by_time_and_differ() -> None:
    clock = count(NOW_NS, 1_000_000)
    next_id = decision_ids(lambda: next(clock), os.urandom)
    ids = [next_id() for _ in range(1000)]
    assert sorted(ids) == ids
    assert len(set(ids)) == 1000


def test_digest_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first = digest_key(settings(tmp_path))
    assert (len(first), digest_key(settings(tmp_path))) == (32, first)
    assert stat.S_IMODE((tmp_path / "digest.key").stat().st_mode) == 0o600
    assert digest_key(settings(tmp_path, digest_key="0f" * 16)) == b"\x0f" * 16


def test_files_in_use(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    assert (policy_path(plain), models_path(plain).name, models_path(plain).parent.name) == (
        None,
        "models.yaml",
        "sidecar",
    )
    (tmp_path / "policy.yaml").touch()
    (tmp_path / "models.yaml").touch()
    assert (policy_path(plain), models_path(plain)) == (tmp_path / "policy.yaml", tmp_path / "models.yaml")
    named = settings(tmp_path, policy_file=tmp_path / "mine.yaml", models_file=tmp_path / "m.yaml")
    assert (policy_path(named), models_path(named)) == (tmp_path / "mine.yaml", tmp_path / "m.yaml")


# ── the table of model names ────────────────────────────────────────────────────────────────────────────────────────


def test_shipped_models_lead_to_known_providers() -> None:
    path = Path(models_path(settings(Path("/nonexistent"))))
    models = load_models(path, ("openai", "openrouter", "anthropic"))
    assert models["gpt4"] == Target("openai", "gpt-4o")
    assert {"gpt4", "gpt35", "qwendeepseek"} <= set(models)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"gpt4: {provider: nobody, model: x}", "gpt4 names provider 'nobody'; known: openai"),
        (b"gpt4: {model: x}", "provider"),
        (b"gpt4: {provider: openai}", "model"),
        (b"gpt4: openai", "gpt4|object"),
        (b"gpt4: {provider: openai, model: 4}", "str"),
        (b"- gpt4", "object"),
        (b"", "object"),
        (b"gpt4: [", "models.yaml"),
        (b"\xff\xfe\x00", "models.yaml"),
    ],
)
def test_wrong_table_names_the_file_and_the_fault(tmp_path: Path, text: bytes, told: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=told) as caught:
        load_models(path, ("openai",))
    assert str(path) in str(caught.value)


# ── a worker ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the kernel allows a Unix socket 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="douane") as name:
        (Path(name) / "run").mkdir()
        yield Path(name)


def spooled(folder: Path, index: int = 0) -> int:
    with closing(sqlite3.connect(folder / "spool" / f"worker-{index}.db")) as db:
        found: int = db.execute("SELECT count(*) FROM records").fetchone()[0]
        return found


@pytest.mark.server
async def test_worker_answers_until_it_is_told_to_stop_and_keeps_what_it_could_not_deliver(folder: Path) -> None:
    worker = Worker(settings(folder, workers=1, drain_s=0, analytics_grpc="127.0.0.1:1"), 0)
    running = asyncio.create_task(worker.run())
    address = f"unix:{socket_path(folder, 0)}"
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream("/envoy.service.ext_proc.v3.ExternalProcessor/Process")(wait_for_ready=True)
        made = pb.ProcessingRequest(request_body=pb.HttpBody(body=chat("Bonjour"), end_of_stream=True))
        made.attributes["envoy.filters.http.ext_proc"].update({"request.path": "/v1/chat/completions"})
        await call.write(made.SerializeToString())
        answer = pb.ProcessingResponse.FromString(await call.read())
        assert answer.WhichOneof("response") == "request_body"
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert spooled(folder) == 1
    spool = Spool(folder / "spool" / "worker-0.db")
    assert (spool.recovered, spool.waiting) == (0, 1)  # the open exchange was recorded as aborted, not left open
    spool.close()


@pytest.mark.server
async def test_exchanges_keep_the_rules_they_began_with(folder: Path) -> None:
    worker = Worker(settings(folder, workers=1), 0)
    before = worker.around
    (folder / "packs").mkdir()
    (folder / "packs" / "shop.yaml").write_text(
        "family: shop\nrules:\n"
        "  - {id: shop.a, type: jailbreak, weight: 15, pattern: free voucher, source: here, why: a test}\n"
    )
    assert worker.packs.refresh()
    worker._rules_changed()
    old, new = before.pipeline, worker.around.pipeline
    assert (new.ruleset, new.ruleset.version != old.ruleset.version) == (worker.packs.current, True)
    head = Head("POST", "/v1/chat/completions")
    assert [p.inspect(head, chat("a free voucher"), 2**62).assessment.score for p in (old, new)] == [0.0, 15.0]
    worker.spool.close()
    await worker.channel.close()
    await worker.server.stop(None)
    worker.threads.shutdown()


@pytest.mark.server
async def test_first_worker_takes_over_the_spools_of_workers_that_are_no_more(folder: Path) -> None:
    (folder / "spool").mkdir()
    for index in (1, 5):
        spool = Spool(folder / "spool" / f"worker-{index}.db")
        spool.add(b"", final=True)
        spool.close()
    worker = Worker(settings(folder, workers=2), 0)
    assert worker.spool.waiting == 1
    assert sorted(path.name for path in (folder / "spool").glob("*.db")) == ["worker-0.db", "worker-1.db"]
    worker.spool.close()
    await worker.channel.close()
    await worker.server.stop(None)
    worker.threads.shutdown()


@pytest.mark.server
async def test_what_analytics_told_is_in_force_and_still_after_a_restart_without_it(folder: Path) -> None:
    now_us = time.time_ns() // 1_000
    text = "mode: observe\nbudgets: [{name: calls, unit: requests, window: day, limit: 9}]"
    held = Held(
        installation="i",
        version=7,
        policies={"red": HeldPolicy(policy_version(text), text)},
        users={("red", "ann"): HeldUser(40.0, now_us, 3_600.0, now_us + 60_000_000, 0, "seen")},
        budgets={("red", "calls", ""): HeldUse("requests", now_us // 1_000_000, now_us // 1_000_000 + 60, 4, 1)},
    )
    write(snapshot_path(folder, 0), held)
    worker = Worker(settings(folder, workers=1, drain_s=0, analytics_grpc="127.0.0.1:1"), 0)
    running = asyncio.create_task(worker.run())
    while not worker.watch.held.version:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.01)
    policy = worker.policies.of("red").policy
    standing = worker.around.users.standing(("red", "ann"), policy.user_risk, now_us)
    assert (policy.version, policy.mode.value, worker.policies.of("blue").policy.mode.value) == (
        *(policy_version(text), "observe"),
        "enforce",
    )
    assert (standing.risk, standing.reason) == (40.0, "seen")
    assert (len(worker.around.budgets), worker.watch.held.version) == (1, 7)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    assert read(snapshot_path(folder, 0)) == held
