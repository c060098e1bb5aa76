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
from sidecar.certs.authority import Authority, open_authority, rotate, utc_now
from sidecar.certs.sds import SECRET_TYPE, Issuer, build_server
from sidecar.certs.signing import LEAF_LIFE

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


def test_names_are_signed_for_as_they_are_asked_for(authority: Authority) -> None:
    issuer = Issuer(authority)
    leaf = issuer.leaf("api.openai.com")
    assert issuer.leaf("API.OpenAI.com") is leaf
    assert issuer.leaf("api.openai.com.") is leaf
    for bad in ("a_b.openai.azure.com", ".openai.azure.com", "*.openai.azure.com", "192.0.2.1", "unnamed", ""):
        assert issuer.leaf(bad) is None


def test_leaves_are_not_issued_over_and_over_when_the_authority_ends(tmp_path: Path) -> None:
    now = utc_now()
    authority = open_authority(tmp_path / "ca", HOSTS, lambda: now)
    now = authority.certificate.not_valid_after_utc - timedelta(hours=1)
    issuer = Issuer(authority)
    last = issuer.leaf("api.openai.com")
    assert last is not None
    assert last.not_after == authority.certificate.not_valid_after_utc
    assert issuer.leaf("api.openai.com") is last


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
        request = pb.DeltaDiscoveryRequest(resource_names_subscribe=names, type_url=SECRET_TYPE, **more)
        await self.call.write(request)

    async def hears(self) -> pb.DeltaDiscoveryResponse:
        found: pb.DeltaDiscoveryResponse = await asyncio.wait_for(self.call.read(), 3)
        return found

    async def hears_nothing(self) -> bool:
        """A read that is given up ends the call, so this comes last."""
        try:
            await asyncio.wait_for(self.call.read(), 0.3)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def streams(issuer: Issuer, folder: Path) -> AsyncIterator[Callable[[], Envoy]]:
    """Open as many streams as are wanted: Envoy has one for each name."""
    address = f"unix:{folder}/sds.sock"
    server = build_server(issuer, address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        method: Callable[[], Any] = channel.stream_stream(
            "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
            request_serializer=pb.DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=pb.DeltaDiscoveryResponse.FromString,
        )
        yield lambda: Envoy(method())
    await server.stop(None)


def names_in(response: pb.DeltaDiscoveryResponse) -> list[str]:
    for item in response.resources:
        secret = pb.Secret.FromString(item.resource.value)
        assert secret.name == item.name
        (leaf, *_) = x509.load_pem_x509_certificates(secret.tls_certificate.certificate_chain.inline_bytes)
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert found.get_values_for_type(x509.DNSName) == [item.name.lower().rstrip(".")]
        assert secret.tls_certificate.private_key.inline_bytes.startswith(b"-----BEGIN PRIVATE KEY")
    return [item.name for item in response.resources]


async def test_each_new_name_gets_a_secret_and_an_acknowledgement_none(authority: Authority, tmp_path: Path) -> None:
    async with streams(Issuer(authority), tmp_path) as opened:
        envoy = opened()
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        assert names_in(first) == ["api.openai.com"]
        await envoy.ask(response_nonce=first.nonce)
        await envoy.ask("a.OpenAI.azure.com")
        assert names_in(await envoy.hears()) == ["a.OpenAI.azure.com"]
        await envoy.ask(response_nonce="1.2")
        assert await envoy.hears_nothing()


async def test_a_name_that_may_not_be_signed_for_is_answered_at_once(authority: Authority, tmp_path: Path) -> None:
    async with streams(Issuer(authority), tmp_path) as opened:
        envoy = opened()
        await envoy.ask("bank.example")
        answer = await envoy.hears()
        assert (names_in(answer), list(answer.removed_resources)) == ([], ["bank.example"])


async def test_a_rotation_is_pushed(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sds, "_LOOK_EVERY", timedelta(seconds=0.05))
    async with streams(Issuer(authority), tmp_path) as opened:
        one, other = opened(), opened()
        await one.ask("api.openai.com")
        await other.ask("a.openai.azure.com")
        first, _ = await one.hears(), await other.hears()
        rotate(tmp_path / "ca", HOSTS)
        second = await one.hears()
        assert names_in(second) == ["api.openai.com"]
        assert second.system_version_info != first.system_version_info
        assert names_in(await other.hears()) == ["a.openai.azure.com"]


async def test_a_leaf_is_renewed_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sds, "_LOOK_EVERY", timedelta(seconds=0.05))
    now = utc_now()
    async with streams(Issuer(open_authority(tmp_path / "ca", HOSTS, lambda: now)), tmp_path) as opened:
        envoy = opened()
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        now += LEAF_LIFE / 2 + timedelta(minutes=1)
        second = await envoy.hears()
        assert names_in(second) == ["api.openai.com"]
        assert second.resources[0].resource.value != first.resources[0].resource.value
        assert await envoy.hears_nothing()


async def test_more_names_than_are_held_take_each_other_s_place_and_no_more(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every name issued again at each look, 2,000 names of one wildcard kept the process busy for ever."""
    monkeypatch.setattr(sds, "_LOOK_EVERY", timedelta(seconds=0.05))
    monkeypatch.setattr(sds, "_MAX_LEAVES", 2)
    async with streams(Issuer(authority), tmp_path) as opened:
        envoys = [opened() for _ in range(3)]
        for number, envoy in enumerate(envoys):
            await envoy.ask(f"a{number}.openai.azure.com")
            assert names_in(await envoy.hears()) == [f"a{number}.openai.azure.com"]
        taken_back = await envoys[0].hears()
        assert (names_in(taken_back), list(taken_back.removed_resources)) == ([], ["a0.openai.azure.com"])
        assert await envoys[1].hears_nothing()
        assert await envoys[2].hears_nothing()


async def test_what_envoy_gives_back_is_not_renewed(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sds, "_LOOK_EVERY", timedelta(seconds=0.05))
    async with streams(Issuer(authority), tmp_path) as opened:
        envoy = opened()
        await envoy.ask("api.openai.com")
        await envoy.hears()
        await envoy.ask(resource_names_unsubscribe=["api.openai.com"])
        await asyncio.sleep(0.1)
        rotate(tmp_path / "ca", HOSTS)
        assert await envoy.hears_nothing()


async def test_a_refusal_is_logged_and_not_answered_again(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with streams(Issuer(authority), tmp_path) as opened:
        envoy = opened()
        await envoy.ask("api.openai.com")
        first = await envoy.hears()
        refused = pb.Status(code=3, message="no such curve")
        await envoy.ask(response_nonce=first.nonce, error_detail=refused)
        assert await envoy.hears_nothing()
    assert [record.reason for record in caplog.records if record.message == "secret.refused"] == ["no such curve"]
