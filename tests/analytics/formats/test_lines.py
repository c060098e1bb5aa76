import msgspec

from analytics.formats.lines import encode, json_lines
from tests.analytics.formats.rows import HOSTILE, PLAIN, RISKY, several


def test_a_line_holds_a_row_whole() -> None:
    data = b"".join(encode([[PLAIN], [RISKY, HOSTILE]]))
    plain, risky, hostile = (msgspec.json.decode(line) for line in data.splitlines())
    assert plain["detail"] == PLAIN.detail
    assert plain["threats"] == []
    assert plain["latency_us"] == PLAIN.latency_us
    assert [one["rule_id"] for one in risky["threats"]] == [one.rule_id for one in RISKY.threats]
    assert (hostile["user"], hostile["cost_nanousd"]) == (HOSTILE.user, None)
    assert "rule_ids" not in risky


def test_every_line_ends() -> None:
    assert json_lines(several(700)).count(b"\n") == 700
    assert json_lines([PLAIN]).endswith(b"}\n")
    assert b"".join(encode([])) == b""
