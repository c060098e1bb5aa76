"""Nothing is lost: killed analytics, killed workers, a full spool."""

import http.client
import json
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from tests.support.calls import call, chat
from tests.support.installation import Installation, eventually
from tests.support.upstream import Upstream

pytestmark = pytest.mark.server


_RUNS = count()  # the provider is shared, so every load has names of its own


@dataclass
class Load:
    """Clients that send numbered prompts until told to stop, and remember which were answered and how."""

    installation: Installation
    clients: int = 8
    run: str = field(default_factory=lambda: f"load-{next(_RUNS)}")
    answered: dict[str, int] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            name = f"{self.run}-{number}-{turn}"
            self.sent.append(name)
            try:
                reply = call(self.installation.gateway, body=chat(f"<{name}>", stream=turn % 3 == 0), x_user_id=name)
            except (OSError, http.client.HTTPException):
                continue
            self.answered[name] = reply.status


def stored(installation: Installation) -> Counter[str]:
    """Return how often each user's exchange is in the database, read from the file itself."""
    with sqlite3.connect(f"file:{installation.data / 'analytics.db'}?mode=ro", uri=True) as db:
        return Counter(user for (user,) in db.execute('SELECT "user" FROM records WHERE "user" LIKE \'load-%\''))


def unfinished(installation: Installation) -> int:
    with sqlite3.connect(f"file:{installation.data / 'analytics.db'}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT count(*) FROM records WHERE stage = 'verdict'").fetchone()[0])


def prove(load: Load, upstream: Upstream) -> dict[str, int]:
    """Assert that every answered exchange and every request the provider saw is stored exactly once; return the counts."""
    installation = load.installation
    eventually(lambda: installation.spooled() == 0, 30)
    rows = stored(installation)
    seen = {body.decode().partition("<")[2].partition(">")[0] for body in upstream.bodies(f"<{load.run}-")}
    assert {name for name, status in load.answered.items() if status == 200} <= set(rows)
    assert seen <= set(rows)
    assert set(rows.values()) == {1}
    assert unfinished(installation) == 0
    return {
        "sent": len(load.sent),
        "answered": len(load.answered),
        "answered_200": sum(status == 200 for status in load.answered.values()),
        "seen_by_provider": len(seen),
        "stored": len(rows),
    }


@pytest.fixture
def installation(tmp_path: Path, upstream: Upstream) -> Installation:
    found = Installation(tmp_path / "d", workers=2, DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield found
    found.stop()


def test_a_killed_analytics_loses_nothing(installation: Installation, upstream: Upstream) -> None:
    with Load(installation) as load:
        for _ in range(3):
            time.sleep(1.5)
            installation.kill("analytics")
        time.sleep(2)
    eventually(lambda: "analytics" in installation.children(), 20)
    counts = prove(load, upstream)
    assert counts["answered_200"] == counts["answered"] > 100
    print("kill -9 of analytics, three times under load:", json.dumps(counts))


def test_a_killed_worker_loses_nothing(installation: Installation, upstream: Upstream) -> None:
    with Load(installation) as load:
        for name in ("worker-0", "worker-1", "worker-0"):
            time.sleep(1.5)
            installation.kill(name)
        time.sleep(3)
    counts = prove(load, upstream)
    assert counts["answered_200"] > 100
    incomplete = [r for r in installation.records(outcome="unknown") if r["user"].startswith("load-")]
    assert all(r["stage"] == "incomplete" for r in incomplete)
    print("kill -9 of workers, three times under load:", json.dumps({**counts, "incomplete": len(incomplete)}))


def test_a_killed_supervisor_leaves_no_child_and_loses_nothing(installation: Installation, upstream: Upstream) -> None:
    with Load(installation, clients=4) as load:
        time.sleep(1.5)
        children = installation.children()
        installation.process.kill()
        installation.process.wait(10)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()), 20)
    installation.process = installation._start()
    installation.wait()
    print("kill -9 of the supervisor under load:", json.dumps(prove(load, upstream)))


def test_a_stop_under_load_loses_nothing(installation: Installation, upstream: Upstream) -> None:
    with Load(installation, clients=4) as load:
        time.sleep(1.5)
        assert installation.stop() == 0
    rows = stored(installation)
    assert {name for name, status in load.answered.items() if status == 200} <= set(rows)
    assert installation.spooled() == 0
    assert unfinished(installation) == 0


@pytest.mark.parametrize(("policy", "status"), [("spool_full: refuse\n", 503), ("spool_full: lose\n", 200)])
def test_a_full_spool_refuses_or_loses_and_counts(tmp_path: Path, upstream: Upstream, policy: str, status: int) -> None:
    """Analytics is away, so the spool fills; its limit is the smallest there is."""
    found = Installation(
        tmp_path / "d",
        policy=policy,
        DOUANE_UPSTREAMS=f"openai={upstream.url}",
        DOUANE_SPOOL_MAX_BYTES="65536",
        DOUANE_ANALYTICS_GRPC="127.0.0.1:1",
    ).wait()
    try:
        prompts = (chat(f"<load-full-{status}-{number}>") for number in range(150))
        replies = [call(found.gateway, body=prompt) for prompt in prompts]
        assert replies[0].status == 200
        assert replies[-1].status == status
        assert 'douane_records_lost_total{reason="spool_full"}' in found.metrics()
        refused = [r for r in replies if r.status == 503]
        assert all(r.error["code"] == "douane_spool_full" for r in refused)
        seen = {b.decode().partition("<")[2].partition(">")[0] for b in upstream.bodies("<load-full-")}
        assert len(replies) - len(refused) <= len(seen) + 0 if status == 503 else len(refused) == 0
    finally:
        found.stop()
