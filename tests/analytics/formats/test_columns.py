from dataclasses import fields

import msgspec

from analytics.formats.columns import COLUMNS
from analytics.types import DecisionRow
from tests.analytics.formats.rows import PLAIN, RISKY

_READ = {column.name: column.read for column in COLUMNS}
_TYPES = {"text": str, "json": str, "integer": int, "number": float, "flag": bool}


def test_no_field_of_a_row_is_left_out() -> None:
    """started_unix_us is there as started_at, to the microsecond."""
    names = {one.name for one in fields(DecisionRow)} - {"started_unix_us"}
    assert set(_READ) - names == {"started_at", "latency_us", "threat_types", "rule_ids"}
    assert names - set(_READ) == set()
    assert len(_READ) == len(COLUMNS)


def test_values_are_of_their_columns_kind() -> None:
    for row in (PLAIN, RISKY):
        for column in COLUMNS:
            value = column.read(row)
            assert value is None or column.kind == "moment" or isinstance(value, _TYPES[column.kind]), column.name


def test_the_start_is_exact() -> None:
    read = _READ["started_at"](PLAIN)
    assert round(read.timestamp()) * 1_000_000 - PLAIN.started_unix_us in range(-500_000, 500_001)
    assert read.microsecond == PLAIN.started_unix_us % 1_000_000


def test_threats_are_told_in_short_and_whole() -> None:
    assert _READ["threat_types"](RISKY).split() == list(dict.fromkeys(one.type for one in RISKY.threats))
    assert _READ["rule_ids"](RISKY).split() == [one.rule_id for one in RISKY.threats]
    assert [one["score"] for one in msgspec.json.decode(_READ["threats"](RISKY))] == [
        one.score for one in RISKY.threats
    ]
    assert (_READ["threats"](PLAIN), _READ["rule_ids"](PLAIN)) == ("[]", "")
    assert msgspec.json.decode(_READ["detail"](PLAIN)) == PLAIN.detail
