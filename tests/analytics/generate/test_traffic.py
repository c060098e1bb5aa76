import hashlib
import os
import subprocess
import sys

import pytest

from analytics.generate import Plan, generate
from analytics.types import DecisionRow

# The columns that chance decides; those which follow from them are compared with the truth elsewhere.
_DIGEST = """
import hashlib
from operator import attrgetter
from analytics.generate import Plan, generate
values = attrgetter("decision_id", "user", "model", "attempt", "applied", "outcome", "score", "finish_reason", "prompt_tokens",
    "completion_tokens", "cost_nanousd", "started_unix_us", "verdict_us", "first_byte_us", "total_us", "detail", "threats")
traffic = generate(Plan(records=3_000, seed=11, days=9, tenants=2))
digest = hashlib.sha256()
for rows in traffic:
    digest.update(repr([values(row) for row in rows]).encode())
digest.update(traffic.truth.json())
print(digest.hexdigest())
"""
_KNOWN = "d931881a0f33203615fa0c18738f6e4f9688bed11e5854dd14fa923b80838634"


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2 FMA3"}],
    ids=["one hash seed", "another, and a plainer processor"],
)
def test_a_seed_gives_the_same_bytes_everywhere(environment: dict[str, str]) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _DIGEST]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == _KNOWN


def digest(plan: Plan) -> str:
    rows = [row for rows in generate(plan) for row in rows]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_another_seed_gives_other_traffic() -> None:
    assert digest(Plan(records=500, seed=1)) == digest(Plan(records=500, seed=1))
    assert digest(Plan(records=500, seed=1)) != digest(Plan(records=500, seed=2))


@pytest.mark.parametrize("records", [1, 2, 499, 500, 12_345])
def test_there_are_as_many_records_as_were_asked_for(records: int) -> None:
    for days in (1, 30):
        assert sum(map(len, generate(Plan(records=records, days=days)))) == records


def test_records_come_in_order_of_time_and_within_it(rows: list[DecisionRow]) -> None:
    plan = Plan(records=1)
    started = [row.started_unix_us for row in rows]
    assert started == sorted(started)
    assert plan.start_unix_s * 1_000_000 <= started[0]
    assert started[-1] < plan.end_unix_s * 1_000_000


def test_retries_are_there(rows: list[DecisionRow]) -> None:
    assert {row.attempt for row in rows} >= {0, 1}
