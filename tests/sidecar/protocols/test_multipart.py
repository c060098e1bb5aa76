"""Uploads of several parts: no part is hidden by tricks with the boundary."""

import pytest

from sidecar.protocols import opaque
from sidecar.protocols.json_body import MalformedBody
from sidecar.protocols.multipart import MAX_PARTS, parts
from sidecar.types import Head, Surface, UnscannedReason

KIND = "multipart/form-data; boundary=xYz"
HIDDEN = "a text that is long enough"


def body(*pieces: tuple[str, bytes]) -> bytes:
    made = b"".join(b"--xYz\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in pieces)
    return made + b"--xYz--\r\n"


def read(data: bytes, kind: str = KIND) -> list[str]:
    found = opaque.read_request(data, Head("POST", "/v1/files", headers={"content-type": kind}))
    assert all(segment.surface is Surface.USER for segment in found.segments)
    return [segment.text for segment in found.segments]


def test_each_part_is_read_as_what_it_is() -> None:
    first = b'{"body": {"messages": [{"content": "\\u0061 text that is long enough"}]}}'
    lines = first + b'\n{"body": {"input": "the second of the lines"}}\n'
    data = body(
        ('content-disposition: form-data; name="purpose"', b"batch"),
        ('content-disposition: form-data; name="file"; filename="requests.jsonl"', lines),
        (
            'content-disposition: form-data; name="x"\r\ncontent-type: application/json',
            b'{"a": "some more of the text"}',
        ),
    )
    texts = read(data)
    assert {"batch", HIDDEN, "the second of the lines", "some more of the text"} < set(texts)
    assert any("requests.jsonl" in text for text in texts)


def test_bytes_are_counted() -> None:
    data = body(('content-disposition: form-data; name="file"; filename="a.png"', b"\x89PNG\xff\xfe" * 10))
    found = opaque.read_request(data, Head("POST", "/v1/files", headers={"content-type": KIND}))
    assert [(item.reason, item.bytes) for item in found.unscanned] == [(UnscannedReason.BINARY, 60)]


@pytest.mark.parametrize(
    "data",
    [
        HIDDEN.encode(),
        b"preamble: " + HIDDEN.encode() + body(("a: b", b"x")),
        body(("a: b", b"x")) + b"epilogue: " + HIDDEN.encode(),
        body(("a: b", HIDDEN.encode())).replace(b"\r\n", b"\n"),
        b"--xYz\r\nno head at all, " + HIDDEN.encode() + b"\r\n--xYz--",
        body((f"x-note: {HIDDEN}", b"x")),
        body(("a: b", b'{"broken": "' + HIDDEN.encode())),
        body(("a: b", b"--other\r\n\r\n" + HIDDEN.encode())),
        body(("a: b", HIDDEN.encode() + b"\xff")),
    ],
)
def test_nothing_hides(data: bytes) -> None:
    assert any(HIDDEN in text for text in read(data))


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", 'multipart/form-data; boundary=""', "multipart/mixed; boundary=other"]
)
def test_without_a_boundary_that_fits_it_is_text(kind: str) -> None:
    assert any(HIDDEN in text for text in read(body(("a: b", HIDDEN.encode())), kind))


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=xYz; boundary=other",
        'multipart/form-data; x="boundary=xYz"; boundary=other',
        "multipart/form-data; boundary*=utf-8''xYz",
        "multipart/form-data; boundary*0=x; boundary*1=Yz",
        "multipart/form-data; boundary=xYz, multipart/form-data; boundary=other",
    ],
)
def test_a_choice_of_boundaries_is_refused(kind: str) -> None:
    with pytest.raises(MalformedBody, match="boundary"):
        read(body(("a: b", b"x")), kind)
    assert read(body(("a: b", b"x"))) == ["a: b", "x"]


@pytest.mark.parametrize("mark", ["----WebKitFormBoundary7MA4YWxkTrZu0gW", "===============0123=="])
def test_usual_boundaries_are_known(mark: str) -> None:
    data = f"--{mark}\r\na: b\r\n\r\n{HIDDEN}\r\n--{mark}--\r\n".encode()
    assert read(data, f'multipart/form-data; boundary = "{mark}"') == ["a: b", HIDDEN]


def test_too_many_parts_are_refused() -> None:
    with pytest.raises(MalformedBody, match="parts"):
        parts(b"--xYz\r\n\r\nx" * (MAX_PARTS + 1), KIND)
