import re
from collections import defaultdict
from dataclasses import fields

import numpy as np

from analytics.generate import Truth
from analytics.generate.rows import levels
from analytics.types import DecisionRow, ThreatRow


def test_every_field_has_the_type_it_is_declared_with(rows: list[DecisionRow]) -> None:
    told = {"str": str, "bool": bool, "int": int, "float": float, "int | None": (int, type(None))}
    for row in rows[:2_000]:
        for one in fields(DecisionRow):
            name = getattr(one.type, "__name__", str(one.type))
            if name in told:
                assert isinstance(getattr(row, one.name), told[name]), one.name
            if name == "int":
                assert type(getattr(row, one.name)) is int


def test_ids_are_uuids_of_version_7_and_unlike(rows: list[DecisionRow]) -> None:
    assert len({row.decision_id for row in rows}) == len(rows)
    for row in rows[::50]:
        assert re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", row.decision_id)
        assert int(row.decision_id[:12], 16) == row.started_unix_us // 1_000


def test_rows_are_what_ingest_would_make_of_them(rows: list[DecisionRow]) -> None:
    for row in rows:
        assert row.complete == row.detail["request_coverage"]["complete"]
        assert (row.total_tokens is None) == (row.prompt_tokens is None)
        assert row.total_tokens is None or row.total_tokens == row.prompt_tokens + row.completion_tokens
        assert (row.stage == "incomplete") == (row.outcome == "unknown")
        assert bool(row.threats) == (row.score > 0)
        assert [threat.position for threat in row.threats] == list(range(len(row.threats)))
        assert row.outcome != "denied" or (row.first_byte_us, row.cost_nanousd) == (0, None)
        assert len(row.session) == 16


def test_levels_are_the_missions() -> None:
    assert levels(np.array([0, 49, 50, 99, 100, 149, 150, 400])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_finish_reasons_are_in_the_words_of_each_api(rows: list[DecisionRow]) -> None:
    met = defaultdict(set)
    for row in rows:
        met[row.provider].add(row.finish_reason)
    assert met["openai"] == {"stop", "length", "tool_calls", "content_filter", ""}
    assert met["anthropic"] == {"end_turn", "max_tokens", "tool_use", "refusal", ""}
    assert met["gemini"] == {"STOP", "MAX_TOKENS", "SAFETY", ""}


def test_programs_call_from_pods_and_people_from_addresses(rows: list[DecisionRow], truth: Truth) -> None:
    kinds = {person.user: person.kind for person in truth.people}
    for row in rows[::20]:
        program = kinds[row.user] in ("batch_job", "service_account")
        assert ("pod" in row.detail, "source_address" in row.detail) == (program, not program)
        assert (row.door == "transparent", row.team == "") == (program, program)


def test_sessions_are_of_one_user_and_hold_several_calls(rows: list[DecisionRow]) -> None:
    users = defaultdict(list)
    for row in rows:
        users[row.session].append(row.user)
    assert all(len(set(names)) == 1 for names in users.values())
    assert max(map(len, users.values())) > 5


def _first(row: DecisionRow) -> ThreatRow:
    return row.threats[0]


def test_a_campaign_shares_its_digest_and_others_do_not(rows: list[DecisionRow], truth: Truth) -> None:
    digests = defaultdict(list)
    for row in rows:
        if row.threats:
            digests[_first(row).match_digest].append(row)
    for campaign in truth.campaigns:
        if campaign.kind != "escalation":
            mine = digests.pop(campaign.match_digest)
            assert {row.user for row in mine} == set(campaign.users)
            assert (len(mine), {row.tenant for row in mine}) == (campaign.records, {campaign.tenant})
    assert max(len({row.user for row in mine}) for mine in digests.values()) == 1
