import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet as files

from analytics.formats import parquet
from analytics.formats.columns import COLUMNS
from analytics.types import DecisionRow
from tests.analytics.formats.rows import HOSTILE, PLAIN, RISKY, several


def opened(pieces: list[bytes]) -> files.ParquetFile:
    return files.ParquetFile(pa.BufferReader(b"".join(pieces)))


def test_a_row_comes_back_whole_and_typed() -> None:
    table = opened(list(parquet.encode([[PLAIN, RISKY], [HOSTILE]]))).read()
    assert table.schema.equals(parquet.SCHEMA)
    plain, risky, hostile = table.to_pylist()
    for column in COLUMNS:
        if column.name != "detail":
            assert plain[column.name] == column.read(PLAIN), column.name
    assert msgspec.json.decode(plain["detail"]) == PLAIN.detail
    assert [one["type"] for one in msgspec.json.decode(risky["threats"])] == [one.type for one in RISKY.threats]
    assert (hostile["user"], hostile["prompt_tokens"]) == (HOSTILE.user, None)


def test_groups_are_given_away_as_they_are_made() -> None:
    asked: list[int] = []

    def batches() -> "list[list[DecisionRow]]":
        for number in range(40):
            asked.append(number)
            yield several(1_000)  # type: ignore[misc]

    pieces = [(len(asked), len(piece)) for piece in parquet.encode(batches())]
    whole = opened(list(parquet.encode([several(1_000)] * 40)))
    groups = [whole.metadata.row_group(one).num_rows for one in range(whole.num_row_groups)]
    assert groups == [16_000, 16_000, 8_000]
    assert [after for after, _ in pieces] == [0, 16, 32, 40, 40]
    assert all(size > 10_000 for _, size in pieces[1:-1])


def test_long_texts_make_smaller_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_GROUP_CHARS", 100_000)
    whole = opened(list(parquet.encode([several(2_000)])))
    assert whole.num_row_groups == 4
    assert whole.metadata.num_rows == 2_000


def test_no_rows_are_a_file_without_rows() -> None:
    table = opened(list(parquet.encode([]))).read()
    assert (table.num_rows, table.schema.equals(parquet.SCHEMA)) == (0, True)


def test_a_file_that_ended_early_cannot_be_read() -> None:
    def broken() -> "list[list[DecisionRow]]":
        yield several(20_000)  # type: ignore[misc]
        raise RuntimeError("the database is gone")

    pieces: list[bytes] = []
    with pytest.raises(RuntimeError):
        pieces.extend(parquet.encode(broken()))
    with pytest.raises(pa.ArrowInvalid):
        opened(pieces)
