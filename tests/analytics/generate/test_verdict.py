from dataclasses import replace

import numpy as np
import pytest

from analytics.generate import Plan, calls, verdict
from analytics.generate.chance import MILLION, Chance
from analytics.generate.events import Campaign, Events, Incident, sidecar_name
from analytics.generate.models import MODELS
from analytics.generate.people import KIND, Population, populate
from analytics.generate.threats import FINDINGS, LEAKS

NONE = np.zeros(0, dtype=np.int64)
QUIET = Events((), (), NONE, NONE, NONE, NONE)
PLAN = Plan(records=1, users=400)
COUNT = 30_000


@pytest.fixture(scope="module")
def people() -> Population:
    return populate(PLAN)


def judged(people: Population, events: Events = QUIET, campaign: int = -1, kind: str | None = None) -> calls.Calls:
    chance = Chance(2)
    users = np.arange(len(people.names)) if kind is None else np.flatnonzero(people.kind == KIND[kind])
    started = PLAN.start_unix_s * MILLION + np.arange(COUNT) * 2 * MILLION
    chunk = calls.begun(started, np.resize(users, COUNT), np.full(COUNT, campaign), np.arange(COUNT) * 100 // COUNT)
    calls.ask(chance, chunk, people, events)
    calls.try_again(chance, chunk, events, (PLAN.start_unix_s + 86_400) * MILLION)
    calls.answer(chance, chunk, people, events)
    verdict.judge(chance, chunk, people, events)
    verdict.end(chance, chunk, events)
    return chunk


def of(campaign: str) -> Events:
    return replace(QUIET, campaigns=(Campaign("x", campaign, "default", ("ada",), "00" * 16, 0, 1, 1),))


def test_critical_is_denied_where_policy_enforces_and_noted_where_it_observes(people: Population) -> None:
    chunk = judged(people, of("shared_prompt"), campaign=0)
    observing = people.tenant[chunk.user] == verdict.OBSERVING_TENANT
    assert set(chunk.would_be.tolist()) == {verdict.DENY}
    assert set(chunk.applied[observing].tolist()) == {verdict.ALLOW}
    assert set(chunk.applied[~observing].tolist()) == {verdict.DENY}
    assert set(chunk.outcome[~observing].tolist()) == {verdict.DENIED}
    assert set(chunk.status[~observing].tolist()) == {403}
    assert (chunk.first_us[~observing] == 0).all()
    assert (chunk.total_us[~observing] == chunk.verdict_us[~observing]).all()
    assert (chunk.usage[~observing].any(), (chunk.cost_nanousd[~observing] == -1).all()) == (False, True)


def test_leaks_are_redacted(people: Population) -> None:
    chunk = judged(people, of("leak"), campaign=0)
    observing = people.tenant[chunk.user] == verdict.OBSERVING_TENANT
    assert {FINDINGS[place].rule_id for place in set(chunk.finding.tolist())} == {"secrets.aws_access_key"}
    assert set(chunk.would_be.tolist()) == {verdict.REDACT}
    assert set(chunk.applied[~observing].tolist()) == {verdict.REDACT}


def test_an_escalation_rises_with_its_progress(people: Population) -> None:
    chunk = judged(people, of("escalation"), campaign=0)
    assert chunk.tenths[chunk.progress_pct < 14].max() == 20
    assert chunk.tenths[chunk.progress_pct > 90].min() == 150
    assert (np.diff(chunk.tenths) >= 0).all()


def test_attackers_attack_testers_try_and_workers_make_noise(people: Population) -> None:
    shares = {}
    for kind in ("attacker", "curious_tester", "office_worker"):
        chunk = judged(people, kind=kind)
        shares[kind] = float((chunk.tenths >= 50).mean())
    assert 0.25 < shares["attacker"] < 0.40
    assert 0.04 < shares["curious_tester"] < 0.07
    assert shares["office_worker"] < 0.002


def test_scores_make_actions_and_actions_outcomes(people: Population) -> None:
    chunk = judged(people)
    plain = chunk.failure == verdict.NO_FAILURE
    assert (chunk.would_be[plain & (chunk.tenths >= 150)] == verdict.DENY).all()
    assert not (chunk.would_be[plain & (chunk.tenths < 150)] == verdict.DENY).any()
    redacted = chunk.would_be == verdict.REDACT
    assert (LEAKS[chunk.finding[redacted]].all(), chunk.tenths[redacted].min() >= 50) == (True, True)
    assert set(chunk.outcome[chunk.applied == verdict.DENY].tolist()) == {verdict.DENIED, verdict.FAILED}
    assert set(chunk.status[chunk.applied == verdict.THROTTLE].tolist()) == {429}
    assert set(chunk.status[chunk.outcome == verdict.UPSTREAM_ERROR].tolist()) == {429, 500, 503, 529, 400}
    assert set(chunk.status[chunk.outcome == verdict.FAILED].tolist()) == {503}
    assert not chunk.complete[chunk.applied == verdict.ALLOW_UNSCANNED].any()


def test_what_nobody_knows_has_no_price(people: Population) -> None:
    chunk = judged(people)
    priced = chunk.cost_nanousd >= 0
    local = np.array([model.price is None for model in MODELS])[chunk.model]
    assert (priced == (chunk.usage & ~local)).all()
    place = int(np.flatnonzero(priced & (chunk.cached > 0))[0])
    plain, cached, answer = MODELS[chunk.model[place]].price or (0, 0, 0)
    prompt, kept = int(chunk.prompt[place]), int(chunk.cached[place])
    assert chunk.cost_nanousd[place] == (prompt - kept) * plain + kept * cached + int(chunk.answer[place]) * answer


def test_an_aborted_stream_is_shorter_and_has_no_usage(people: Population) -> None:
    chunk = judged(people)
    cut = chunk.outcome == verdict.CLIENT_ABORTED
    assert 0 < cut.mean() < 0.01
    assert chunk.stream[cut].all()
    assert not chunk.usage[cut].any()


def during(kind: str, subject: str) -> Events:
    start = PLAN.start_unix_s
    return replace(QUIET, incidents=(Incident(kind, subject, start, start + 30_000, 100),))


def test_a_fail_open_passes_calls_uninspected_at_one_sidecar(people: Population) -> None:
    chunk = judged(people, during("fail_open", sidecar_name(0)))
    opened = chunk.failure == verdict.DEADLINE
    assert set(chunk.sidecar[opened].tolist()) == {0}
    within = (chunk.started_us < (PLAN.start_unix_s + 30_000) * MILLION) & (chunk.sidecar == 0)
    assert opened[within].mean() == pytest.approx(0.6, abs=0.05)
    assert not opened[~within].any()
    assert set(chunk.applied[opened].tolist()) == {verdict.ALLOW_UNSCANNED}
    assert verdict.ANSWERED in chunk.outcome[opened]


def test_a_silent_sidecar_carries_nothing_and_the_next_one_takes_over(people: Population) -> None:
    usual, silent = judged(people), judged(people, during("sidecar_silent", sidecar_name(2)))
    within = usual.started_us < (PLAN.start_unix_s + 30_000) * MILLION
    mine = within & (usual.sidecar == 2)
    assert set(silent.sidecar[mine].tolist()) == {0}
    assert (silent.sidecar[~mine] == usual.sidecar[~mine]).all()
