"""A provider behind TLS: its certificate is verified, always."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.calls import call, chat
from tests.support.installation import Installation
from tests.support.upstream import CHAT_BYTES, Upstream

pytestmark = pytest.mark.server


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def provider(authority: trustme.CA) -> Iterator[Upstream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    upstream = Upstream(tls=context)
    yield upstream
    upstream.close()


def start(folder: Path, provider: Upstream, authority: trustme.CA) -> Installation:
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return Installation(
        folder / "d",
        DOUANE_UPSTREAMS=f"openai={provider.url}",
        DOUANE_UPSTREAM_CA_FILE=str(folder / "ca.pem"),
    ).wait()


def test_a_provider_with_a_trusted_certificate_answers(
    tmp_path: Path, provider: Upstream, authority: trustme.CA
) -> None:
    installation = start(tmp_path, provider, authority)
    try:
        assert call(installation.gateway, body=chat("over TLS")).body == CHAT_BYTES
    finally:
        installation.stop()


def test_a_provider_with_another_certificate_is_not_spoken_to(tmp_path: Path, provider: Upstream) -> None:
    installation = start(tmp_path, provider, trustme.CA())
    try:
        reply = call(installation.gateway, body=chat("over TLS"), x_user_id="tls")
        assert (reply.status, reply.error["type"]) == (503, "douane_gateway_error")
        assert not provider.bodies("over TLS")
        record = installation.settled("tls")[0]
        assert (record["outcome"], record["http_status"]) == ("upstream_error", 503)
    finally:
        installation.stop()
