"""Certificates on demand: what Envoy asks, over a real gRPC stream, and what it gets when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from douane.envoy import sds_pb2 as pb

from sidecar.certs import sds
from sidecar.certs.authority import LEAF_LIFE, Authority, open_authority, rotate, utc_now
from sidecar.certs.sds import SECRET_TYPE, Issuer, build_server

HOSTS = ("api.openai.com", "*.openai.azure.com")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return open_authority(tmp_path / "ca", HOSTS)


def test_a_leaf_is_issued_once_and_again_at_half_of_its_life(tmp_path: Path) -> None:
    now = utc_now()
    issuer = Issuer(open_authority(tmp_path / "ca", HOSTS, lambda: now))
    first = issuer.leaf("api.openai.com")
    assert first is not None
    assert issuer.leaf("api.openai.com") is first
    now += LEAF_LIFE / 2 + timedelta(minutes=1)
    second = issuer.leaf("api.openai.com")
    assert second is not None
    assert second.not_after > first.not_after


def test_other_names_get_none_and_old_leaves_are_forgotten(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sds, "_MAX_LEAVES", 3)
    issuer = Issuer(authority)
    assert issuer.leaf("bank.example") is None
    first = issuer.leaf("a0.openai.azure.com")
    for number in range(1, 4):
        issuer.leaf(f"a{number}.openai.azure.com")
    assert issuer.leaf("a3.openai.azure.com") is issuer.leaf("a3.openai.azure.com")
    assert issuer.leaf("a0.openai.azure.com") is not first


def test_a_rotation_is_seen_and_a_broken_authority_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    issuer = Issuer(authority)
    old = issuer.leaf("api.openai.com")
    rotate(tmp_path / "ca", HOSTS)
    issuer.look()
    new = issuer.leaf("api.openai.com")
    assert new is not old
    assert issuer.version == 2
    (tmp_path / "ca" / "authority.pem").write_text("broken")
    issuer.look()
    assert issuer.leaf("api.openai.com") is new


class Envoy:
    """Asks as Envoy does."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def ask(self, *names: str, **more: Any) -> None:
        await self.call.write(pb.DiscoveryRequest(resource_names=names, type_url=SECRET_TYPE, **more))

    async def hears(self) -> pb.DiscoveryResponse:
        found: pb.DiscoveryResponse = await asyncio.wait_for(self.call.read(), 3)
        return found

    async def hears_nothing(self) -> bool:
        """A read that is given up ends the call, so this comes last."""
        try:
            await asyncio.wait_for(self.call.read(), 0.3)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def stream(issuer: Issuer, folder: Path) -> AsyncIterator[Envoy]:
    address = f"unix:{folder}/sds.sock"
    server = build_server(issuer, address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        method: Callable[[], Any] = channel.stream_stream(
            "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            request_serializer=pb.DiscoveryRequest.SerializeToString,
            response_deserializer=pb.DiscoveryResponse.FromString,
        )
        yield Envoy(method())
    await server.stop(None)


def names_in(response: pb.DiscoveryResponse) -> list[str]:
    secrets = [pb.Secret.FromString(item.value) for item in response.resources]
    for secret in secrets:
        (leaf, *_) = x509.load_pem_x509_certificates(secret.tls_certificate.certificate_chain.inline_bytes)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert found.get_values_for_type(x509.DNSName) == [secret.name]
        assert secret.tls_certificate.private_key.inline_bytes.startswith(b"-----BEGIN PRIVATE KEY")
    return [secret.name for secret in secrets]


async def test_each_new_name_gets_a_secret_and_an_acknowledgement_none(authority: Authority, tmp_path: Path) -> None:
    async with stream(Issuer(authority), tmp_path) as envoy:
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        assert names_in(first) == ["api.openai.com"]
        await envoy.ask("api.openai.com", response_nonce=first.nonce, version_info=first.version_info)
        await envoy.ask("api.openai.com", "a.openai.azure.com", response_nonce=first.nonce)
        assert names_in(await envoy.hears()) == ["a.openai.azure.com"]
        await envoy.ask("api.openai.com", "a.openai.azure.com", "bank.example")
        assert await envoy.hears_nothing()


async def test_a_rotation_is_pushed(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sds, "_LOOK_EVERY", timedelta(seconds=0.05))
    async with stream(Issuer(authority), tmp_path) as envoy:
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        await envoy.ask("api.openai.com", response_nonce=first.nonce)
        rotate(tmp_path / "ca", HOSTS)
        second = await envoy.hears()
        assert names_in(second) == ["api.openai.com"]
        assert second.version_info != first.version_info


async def test_a_refusal_is_logged_and_not_answered_again(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stream(Issuer(authority), tmp_path) as envoy:
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        refused = pb.Status(code=3, message="no such curve")
        await envoy.ask("api.openai.com", response_nonce=first.nonce, error_detail=refused)
        assert await envoy.hears_nothing()
    assert [record.reason for record in caplog.records if record.message == "secret.refused"] == ["no such curve"]
