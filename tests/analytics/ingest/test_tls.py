"""TLS of the ingest server: what stops the start, and certificates that are renewed while it runs."""

import logging
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from analytics import config
from analytics.config import ConfigError, Settings
from analytics.ingest import tls


def settings(folder: Path, **more: Any) -> Settings:
    return config.load(grpc_cert=folder / "cert.pem", grpc_key=folder / "key.pem", **more)


def write(folder: Path, issued: trustme.LeafCert, stamp: int) -> None:
    (folder / "cert.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    os.utime(folder / "cert.pem", (stamp, stamp))


def test_without_a_certificate_there_is_no_tls() -> None:
    assert tls.credentials(config.load()) is None


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        tls.credentials(settings(tmp_path))
    names = "DOUANE_ANALYTICS_GRPC_CERT, DOUANE_ANALYTICS_GRPC_KEY"
    assert str(caught.value) == f"{names}: {tmp_path}/key.pem cannot be read: No such file or directory"


@pytest.mark.server
async def test_a_renewed_certificate_is_shown_from_the_next_connection_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = trustme.CA(), trustme.CA()
    write(tmp_path, first.issue_cert("localhost"), 1_000)
    server = grpc.aio.server()
    secured = tls.credentials(settings(tmp_path))
    assert secured is not None
    port = server.add_secure_port("localhost:0", secured)
    await server.start()

    async def trusted(authority: trustme.CA) -> bool:
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        options = (("grpc.use_local_subchannel_pool", 1),)  # a connection of its own
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/no/such")(b"", timeout=5)
        return bool(caught.value.code() is grpc.StatusCode.UNIMPLEMENTED)  # that is, we were heard

    assert [await trusted(first), await trusted(second)] == [True, False]
    write(tmp_path, second.issue_cert("localhost"), 2_000)
    assert [await trusted(first), await trusted(second)] == [False, True]
    (tmp_path / "cert.pem").unlink()
    with caplog.at_level(logging.ERROR):
        assert [await trusted(first), await trusted(second)] == [False, True]
    assert {one.getMessage() for one in caplog.records} == {"access.certificate_unreadable"}
    await server.stop(0)


@pytest.mark.server
@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", []), ("0.0.0.0", ["access.grpc_in_the_clear"])])
async def test_tokens_in_the_clear_are_told_of_where_others_listen(
    caplog: pytest.LogCaptureFixture, host: str, told: list[str]
) -> None:
    server = grpc.aio.server()
    tls.listen(server, "127.0.0.1:0", config.load(grpc_host=host))
    await server.stop(0)
    assert [one.getMessage() for one in caplog.records] == told
