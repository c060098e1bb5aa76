"""Adding up, without a database."""

from dataclasses import replace

from analytics.ingest.decode import decode
from analytics.store import cells, distinct, sketch
from analytics.types import COUNTERS, CUBES, DAY_S, HOUR_S, MINUTE_S
from tests.analytics.traffic import BEGAN_UNIX_US, record

BEGAN_UNIX_S = BEGAN_UNIX_US // 1_000_000
NAMES = ("/v1/chat/completions", "openai")


def _sums(cell: cells.Cell) -> dict[str, int]:
    return {name: value for name, value in zip(COUNTERS, cell.counts, strict=True) if value}


def test_nothing_adds_up_to_nothing() -> None:
    assert cells.add_up([]) == cells.Cells({}, {})


def test_a_record_is_counted_in_every_cube_and_grain() -> None:
    row = decode(record(3))
    summed = cells.add_up([row])
    whole = ("default", "gpt-4o", "user-3", *NAMES)
    series = {
        "full": whole,
        "traffic": ("default", "gpt-4o", "", *NAMES),
        "users": ("default", "", "user-3", "", ""),
        "tenants": ("default", "", "", "", ""),
    }
    assert summed.series == {cells.series_id(one): one for one in series.values()}
    assert set(summed.by_key) == {
        (cube, grain_s, BEGAN_UNIX_S - BEGAN_UNIX_S % grain_s, cells.series_id(series[cube]))
        for cube, grains in CUBES.items()
        for grain_s in grains
    }
    for (cube, *_), cell in summed.by_key.items():
        assert cell.latency == {sketch.index(row.total_us): 1}
        assert cell.users == ({distinct.hashed("default", "user-3")} if cube in cells.FEW_ROWS else set())
        assert _sums(cell) == {
            **dict.fromkeys(("requests", "action_allow", "level_low", "outcome_answered", "latency_count"), 1),
            "prompt_tokens": 103,
            "completion_tokens": 40,
            "total_tokens": 143,
            "verdict_us_sum": 700,
            "latency_us_sum": row.total_us,
            "prompt_chars": 800,
            "response_chars": 600,
        }


def test_every_counter_has_its_place() -> None:
    """A record in which every counter but the other actions, levels and outcomes is something of its own."""
    row = replace(
        decode(record(9)),
        applied="redact",
        would_be="deny",
        level="high",
        outcome="answered",
        failure="deadline",
        complete=False,
        stream=True,
        refusal=True,
        attempt=2,
        prompt_tokens=3,
        completion_tokens=4,
        total_tokens=5,
        total_us=6,
        verdict_us=7,
        prompt_chars=8,
        response_chars=9,
        score=1.25,
        cost_nanousd=10,
        first_byte_us=11,
    )
    (cell,) = [cell for key, cell in cells.add_up([row]).by_key.items() if key[:2] == ("users", DAY_S)]
    assert _sums(cell) == {
        **dict.fromkeys(("requests", "action_redact", "would_refuse", "level_high", "outcome_answered"), 1),
        **dict.fromkeys(("inspection_failures", "unscanned", "latency_count", "fail_open", "streams"), 1),
        **dict.fromkeys(("refusals", "retries", "priced", "first_byte_count"), 1),
        "threats": 2,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 5,
        "latency_us_sum": 6,
        "verdict_us_sum": 7,
        "prompt_chars": 8,
        "response_chars": 9,
        "score_milli": 1_250,
        "cost_nanousd": 10,
        "first_byte_us_sum": 11,
    }


def test_labels_of_every_record_are_kept_where_rows_are_few() -> None:
    labels = {}
    for key, label, count in cells.add_up([decode(record(9)), decode(record(9))]).labels():
        if key[1] == HOUR_S:
            labels[key[0], *label] = count
    found = [("threat", "jailbreak"), ("threat", "prompt_injection")]
    found += [("rule", "jailbreak.some_rule"), ("rule", "prompt_injection.some_rule")]
    assert labels == {
        **{(cube, *one, "critical"): 2 for cube in CUBES for one in found},
        **{(cube, "surface", "user", "critical"): 4 for cube in CUBES},
        **{(cube, "finish", "stop", ""): 2 for cube in ("tenants", "traffic")},
    }


def test_what_is_added_and_removed_comes_to_nothing() -> None:
    rows = [decode(record(number)) for number in range(30)]
    summed = cells.add_up(rows, rows)
    assert not any(any(cell.counts) for cell in summed.by_key.values())
    assert not any(any(cell.latency.values()) for cell in summed.by_key.values())
    assert not any(count for _, _, count in summed.labels())


def test_sums_do_not_depend_on_how_records_are_split() -> None:
    rows = [decode(record(number, users=3)) for number in range(0, 3_000, 7)]
    whole = cells.add_up(rows)
    parts = [cells.add_up(rows[place::3]) for place in range(3)]
    for key, cell in whole.by_key.items():
        found = [part.by_key[key] for part in parts if key in part.by_key]
        assert cells._sum(found) == cell
    assert {key[1] for key in whole.by_key} == {MINUTE_S, HOUR_S, DAY_S}


def test_one_absurd_record_leaves_room_in_its_sums() -> None:
    row = replace(decode(record(1)), total_tokens=2**63 - 1, verdict_us=2**63 - 1, score=-1e300)
    for cell in cells.add_up([row]).by_key.values():
        sums = _sums(cell)
        assert (sums["total_tokens"], sums["verdict_us_sum"], sums["score_milli"]) == (2**40, 2**40, -(2**40))


def test_nobody_is_no_user() -> None:
    row = replace(decode(record(1)), user="")
    assert not any(cell.users for cell in cells.add_up([row]).by_key.values())


def test_series_ids_never_change() -> None:
    """They stand in databases: a change would split every series."""
    assert cells.series_id(("default", "gpt-4o", "alice", "/v1/chat/completions", "openai")) == 6857265225918936169
