"""What arguments stand for."""

import io
from pathlib import Path

import pytest

from sidecar.scan import sources
from sidecar.scan.sources import Document, documents


def read(*arguments: str, stdin: bytes = b"", as_text: bool = False) -> list[Document]:
    return list(documents(arguments, io.BytesIO(stdin), as_text=as_text))


def test_what_is_no_file_is_a_text() -> None:
    assert read("hello", "two words.", "x" * 5000, "a\0b") == [
        Document("text 1", "hello"),
        Document("text 2", "two words."),
        Document("text 3", "x" * 5000),
        Document("text 4", "a\0b"),
    ]


@pytest.mark.parametrize("name", ["notes.txt", "docs/page", "/etc/nowhere"])
def test_what_looks_like_a_file_must_be_one(name: str) -> None:
    assert read(name) == [Document(name, why="no such file (with --text it is a text)")]
    assert read(name, as_text=True) == [Document("text 1", name)]


def test_standard_input_beyond_the_limit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TEXT_BYTES_MAX", 4)
    assert read("-", stdin=b"abcdefg") == [Document("stdin", "abcd", 3)]


def test_folders_in_order_without_links(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [document.text for document in read(str(tmp_path))] == ["a.txt", "b.txt", "sub/c.txt"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("é".encode(), ("é", 0, "")),
        (b"\xef\xbb\xbfa", ("a", 0, "")),
        ("é".encode("utf-16"), ("é", 0, "")),
        (b"\xff\xfea", ("\ufffd\na", 0, "")),
        (b"\xff\xfehide", ("\u6968\u6564\nhide", 0, "")),
        (b"caf\xe9", ("caf\ufffd", 0, "")),
        (b"a\0b", ("", 3, "binary")),
        (b"", ("", 0, "")),
    ],
)
def test_bytes_become_text(tmp_path: Path, data: bytes, expected: tuple[str, int, str]) -> None:
    (tmp_path / "a").write_bytes(data)
    (found,) = read(str(tmp_path / "a"))
    assert (found.text, found.left_bytes, found.why) == expected


def test_a_long_file_is_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "TEXT_BYTES_MAX", 4)
    (tmp_path / "a").write_text("abcdefg")
    assert read(str(tmp_path / "a")) == [Document(str(tmp_path / "a"), "abcd", 3)]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a").touch()
    monkeypatch.setattr(Path, "open", refuse)
    assert read(str(tmp_path / "a")) == [Document(str(tmp_path / "a"), why="Permission denied")]
