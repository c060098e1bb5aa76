"""The channel to analytics: who we say we are reaches a real server, in clear, over TLS, and with a certificate of ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from sidecar.config import ConfigError, Settings
from sidecar.record.publish import RefusedError
from sidecar.uplink import analytics_address, credentials, failure, open_channel

pytestmark = pytest.mark.server
TOKEN = "dou_" + "0" * 16 + "_" + "a" * 43


@dataclass
class Books:
    """A server as far as it hears who calls: a call, a stream, and a dialogue, of plain bytes."""

    heard: list[tuple[str, str, list[bytes]]] = field(default_factory=list)

    def _hear(self, method: str, context: Any) -> None:
        token = dict(context.invocation_metadata()).get("authorization", "")
        self.heard.append((method, token, list(context.auth_context().get("x509_common_name", []))))

    async def call(self, request: bytes, context: Any) -> bytes:
        self._hear("Call", context)
        return request

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self._hear("Stream", context)
        yield request
        yield b"2"

    async def talk(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        self._hear("Talk", context)
        async for request in requests:
            yield request


@asynccontextmanager
async def serving(books: Books, tls: grpc.ServerCredentials | None = None) -> AsyncIterator[int]:
    handlers = {
        "Call": grpc.unary_unary_rpc_method_handler(books.call),
        "Stream": grpc.unary_stream_rpc_method_handler(books.stream),
        "Talk": grpc.stream_stream_rpc_method_handler(books.talk),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Books", handlers),))
    port = server.add_secure_port("localhost:0", tls) if tls else server.add_insecure_port("localhost:0")
    await server.start()
    yield port
    await server.stop(None)


def settings(port: int, **more: Any) -> Settings:
    return Settings(analytics_grpc=f"localhost:{port}", **more)


async def call(one: Settings) -> list[bytes]:
    async with open_channel(one) as channel:
        answer = await channel.unary_unary("/test.Books/Call")(b"a", timeout=5)
        streamed = [found async for found in channel.unary_stream("/test.Books/Stream")(b"1", timeout=5)]
        talk = channel.stream_stream("/test.Books/Talk")(iter([b"x", b"y"]), timeout=5)
        return [answer, *streamed, *[found async for found in talk]]


def heard(token: str, names: list[bytes]) -> list[tuple[str, str, list[bytes]]]:
    return [(method, token, names) for method in ("Call", "Stream", "Talk")]


ANSWERS = [b"a", b"1", b"2", b"x", b"y"]


@pytest.mark.parametrize(("token", "header"), [(TOKEN, f"Bearer {TOKEN}"), ("", ""), (None, "")])
async def test_every_call_carries_the_token(token: str | None, header: str) -> None:
    books = Books()
    async with serving(books) as port:
        assert await call(settings(port, analytics_token=token)) == ANSWERS
    assert books.heard == heard(header, [])


def written(folder: Path, name: str, blob: trustme.Blob) -> Path:
    path = folder / name
    blob.write_to_path(path)
    return path


async def test_tls_with_a_certificate_on_both_sides(tmp_path: Path) -> None:
    authority, books = trustme.CA(), Books()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("web-1", common_name="web-1")
    pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
    tls = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    files = {
        "analytics_ca": written(tmp_path, "ca.pem", authority.cert_pem),
        "analytics_cert": written(tmp_path, "cert.pem", client.cert_chain_pems[0]),
        "analytics_key": written(tmp_path, "key.pem", client.private_key_pem),
    }
    async with serving(books, tls) as port:
        assert await call(settings(port, analytics_token=TOKEN, **files)) == ANSWERS
        with pytest.raises(grpc.aio.AioRpcError) as caught:  # no certificate of ours: no connection
            await call(settings(port, analytics_ca=files["analytics_ca"]))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert books.heard == heard(f"Bearer {TOKEN}", [b"web-1"])


async def test_a_server_of_another_authority_hears_nothing(tmp_path: Path) -> None:
    books, server = Books(), trustme.CA().issue_cert("localhost")
    pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
    ca = written(tmp_path, "ca.pem", trustme.CA().cert_pem)
    async with serving(books, grpc.ssl_server_credentials([pair])) as port:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(settings(port, analytics_token=TOKEN, analytics_ca=ca))
    assert (caught.value.code(), books.heard) == (grpc.StatusCode.UNAVAILABLE, [])


def test_half_a_pair_and_a_missing_file_stop_the_start(tmp_path: Path) -> None:
    there = tmp_path / "cert.pem"
    there.write_text("x")
    with pytest.raises(ConfigError, match="DOUANE_ANALYTICS_CERT and DOUANE_ANALYTICS_KEY belong together"):
        credentials(settings(1, analytics_cert=there))
    with pytest.raises(ConfigError, match=r"missing\.pem cannot be read: No such file or directory"):
        credentials(settings(1, analytics_ca=tmp_path / "missing.pem"))
    assert credentials(settings(1)) is None


def test_the_address_is_this_machine_s_unless_named() -> None:
    assert analytics_address(Settings(analytics_grpc_port=9081)) == "127.0.0.1:9081"
    assert analytics_address(settings(1)) == "localhost:1"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, RefusedError),
        (grpc.StatusCode.PERMISSION_DENIED, RefusedError),
        (grpc.StatusCode.UNAVAILABLE, ConnectionError),
    ],
)
def test_a_failed_call_says_whether_we_were_refused(code: grpc.StatusCode, kind: type) -> None:
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why")
    assert (type(failure(error)), str(failure(error))) == (kind, f"{code.name}: why")
