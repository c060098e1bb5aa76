import csv
import io

import msgspec
import pytest

from analytics.formats.columns import COLUMNS
from analytics.formats.delimited import encode, harmless
from analytics.types import DecisionRow
from tests.analytics.formats.rows import HOSTILE, PLAIN, RISKY

_TEXT = {column.name for column in COLUMNS if column.kind in ("text", "json")}


def read(rows: list[DecisionRow]) -> list[dict[str, str]]:
    data = b"".join(encode([rows[:1], rows[1:]]))
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'"])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(first: str) -> None:
    assert harmless(first + "1+1") == "'" + first + "1+1"
    assert harmless("1" + first) == "1" + first
    assert harmless("") == ""


def test_no_cell_of_text_begins_like_a_formula_and_each_can_be_read_back() -> None:
    plain, hostile = read([PLAIN, HOSTILE])
    for cells in (plain, hostile):
        assert [name for name in _TEXT if cells[name][:1] in set("=+-@\t\r\n＝＋－＠") - {""}] == []
    back = {name: cells.removeprefix("'") for name, cells in hostile.items()}
    for name in ("user", "model", "endpoint", "session", "team", "finish_reason", "door"):
        assert back[name] == getattr(HOSTILE, name)
    assert plain["user"] == PLAIN.user


def test_values_are_written_plainly() -> None:
    (plain, hostile, risky) = read([PLAIN, HOSTILE, RISKY])
    assert (plain["stream"], plain["score"], plain["prompt_tokens"]) == (
        str(PLAIN.stream).lower(),
        "0.0",
        str(PLAIN.prompt_tokens),
    )
    assert plain["started_at"].endswith(f".{PLAIN.started_unix_us % 1_000_000:06d}Z")
    assert (hostile["prompt_tokens"], hostile["cost_nanousd"]) == ("", "")
    assert len(msgspec.json.decode(risky["threats"])) == len(RISKY.threats)


def test_lines_end_as_the_rfc_says_in_utf_8() -> None:
    data = b"".join(encode([[HOSTILE]]))
    assert data.startswith(b"decision_id,started_at,stage,")
    assert data.endswith(b"\r\n")
    assert "né ✓".encode() in data


def test_no_rows_are_a_line_of_names() -> None:
    assert b"".join(encode([])) == ",".join(column.name for column in COLUMNS).encode() + b"\r\n"
