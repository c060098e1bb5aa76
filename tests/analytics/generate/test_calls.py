from dataclasses import replace

import numpy as np
import pytest

from analytics.generate import Plan, calls
from analytics.generate.chance import MILLION, Chance
from analytics.generate.events import Events, Incident
from analytics.generate.models import LARGEST, MODELS, PLACE
from analytics.generate.people import KIND, Population, populate

NONE = np.zeros(0, dtype=np.int64)
QUIET = Events((), (), NONE, NONE, NONE, NONE)
PLAN = Plan(records=1, users=400)
COUNT, END_US = 20_000, (PLAN.start_unix_s + 86_400) * MILLION


@pytest.fixture(scope="module")
def people() -> Population:
    return populate(PLAN)


def incident(kind: str, subject: str, factor_pct: int = 100) -> Events:
    """Return events whose one incident lasts the second half of the day."""
    start = PLAN.start_unix_s + 43_200
    return replace(QUIET, incidents=(Incident(kind, subject, start, start + 43_200, factor_pct),))


def drawn(people: Population, events: Events = QUIET, users: list[int] | None = None) -> calls.Calls:
    chance = Chance(1)
    user = chance.below(len(people.names), COUNT) if users is None else np.resize(np.array(users), COUNT)
    started = PLAN.start_unix_s * MILLION + np.sort(chance.below(2**32 - 1, COUNT)) * 86_400 // 4_295 * MILLION // 10**6
    chunk = calls.begun(np.minimum(started, END_US - 1), user, np.full(COUNT, -1), np.zeros(COUNT, dtype=np.int64))
    calls.ask(chance, chunk, people, events)
    calls.try_again(chance, chunk, events, END_US)
    calls.answer(chance, chunk, people, events)
    return chunk


def second_half(chunk: calls.Calls) -> np.ndarray:
    return chunk.started_us >= (PLAN.start_unix_s + 43_200) * MILLION


def test_lengths_are_those_of_the_kinds(people: Population) -> None:
    chunk = drawn(people)
    kind = people.kind[chunk.user]
    talk, code, job = (kind == KIND[name] for name in ("office_worker", "developer", "batch_job"))
    assert np.median(chunk.answer[talk]) == pytest.approx(129, rel=0.1)
    assert np.median(chunk.answer[code]) == pytest.approx(252, rel=0.1)
    assert np.median(chunk.answer[job]) == pytest.approx(13, rel=0.25)
    assert 600 < np.median(chunk.prompt[talk]) < 1_700
    assert 30_000 < np.median(chunk.prompt[code]) < 100_000
    assert chunk.prompt.max() <= max(model.max_prompt for model in MODELS)
    assert chunk.cached[code].sum() / chunk.prompt[code].sum() == pytest.approx(0.96 * 0.9, abs=0.02)
    assert (chunk.stream[job].any(), chunk.stream[code].mean() > 0.95) == (False, True)


def test_longer_answers_take_longer_and_models_differ(people: Population) -> None:
    chunk = drawn(people)
    fine = ~chunk.error
    short, long = fine & (chunk.answer < 50), fine & (chunk.answer > 500)
    assert np.median(chunk.total_us[long]) > 4 * np.median(chunk.total_us[short])
    speed = [
        np.median(chunk.total_us[fine & (chunk.model == PLACE[name]) & (chunk.answer > 200)])
        for name in ("gemini-2.5-flash", "claude-sonnet-4-5")
    ]
    assert speed[1] > 2 * speed[0]
    assert np.percentile(chunk.total_us[fine], 99) > 8 * np.median(chunk.total_us[fine])


def test_first_bytes_of_a_stream_come_early_and_of_an_error_never(people: Population) -> None:
    chunk = drawn(people)
    assert (chunk.first_us[chunk.error] == 0).all()
    assert (chunk.finish[chunk.error] == calls.NONE).all()
    assert (chunk.first_us[chunk.stream & ~chunk.error] < chunk.total_us[chunk.stream & ~chunk.error]).all()
    plain = ~chunk.stream & ~chunk.error
    assert (chunk.first_us[plain] == chunk.total_us[plain]).all()


def test_an_outage_makes_errors_of_its_provider_and_retries(people: Population) -> None:
    chunk = drawn(people, incident("outage", "anthropic"))
    mine = np.array([model.provider == "anthropic" for model in MODELS])[chunk.model]
    during = second_half(chunk)
    assert chunk.error[mine & during].mean() == pytest.approx(0.75, abs=0.03)
    assert chunk.error[~mine & during].mean() < 0.02
    assert chunk.error[mine & ~during].mean() < 0.02
    assert np.percentile(chunk.total_us[mine & during & chunk.error], 90) > 10_000_000
    assert (chunk.attempt[during] > 0).mean() > 0.1
    assert set(chunk.attempt.tolist()) == {0, 1, 2}


def test_a_retry_follows_the_same_users_error_with_the_same_request(people: Population) -> None:
    chunk = drawn(people, incident("outage", "openai"))
    retries = (chunk.attempt > 0) & (chunk.started_us < END_US - 1)
    columns = (chunk.user, chunk.model, chunk.prompt, chunk.cached, chunk.stream, chunk.attempt)
    requests = list(zip(*(column.tolist() for column in columns), strict=True))
    ended = {
        (*request[:5], started + total + (500_000 << request[5]), request[5] + 1)
        for request, started, total, failed in zip(requests, chunk.started_us, chunk.total_us, chunk.error, strict=True)
        if failed
    }
    again = [
        (*requests[place][:5], int(chunk.started_us[place]), requests[place][5]) for place in np.flatnonzero(retries)
    ]
    assert len(again) > 500
    assert set(again) <= ended
    assert {request[6] for request in again} == {1, 2}


def test_latency_drifts_to_its_factor(people: Population) -> None:
    usual, drifted = drawn(people), drawn(people, incident("latency_drift", "gpt-4o", 300))
    mine = (usual.model == PLACE["gpt-4o"]) & ~usual.error
    late = usual.started_us >= (PLAN.start_unix_s + 82_000) * MILLION
    factor = drifted.total_us[mine] / usual.total_us[mine]
    assert factor[~second_half(usual)[mine]].max() == 1
    assert factor[late[mine]].mean() == pytest.approx(2.95, abs=0.1)
    assert (drifted.total_us[~mine] == usual.total_us[~mine]).all()


def test_a_cost_spike_asks_the_dearest_model_for_more(people: Population) -> None:
    user = int(np.flatnonzero(people.kind == KIND["service_account"])[0])
    usual = drawn(people, users=[user])
    spiked = drawn(people, incident("cost_spike", people.names[user], 400), users=[user])
    during = second_half(usual) & (usual.attempt == 0) & (spiked.attempt == 0)
    assert (spiked.model[during] == LARGEST).all()
    assert (spiked.answer[during] == 4 * usual.answer[during]).all()
    assert (spiked.answer[~second_half(usual)] == usual.answer[~second_half(usual)]).all()
