"""Who sends: tokens, certificates, tenants, and what happens to a stream whose token is revoked."""

import asyncio
import datetime
import functools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from douane.v1 import control_pb2 as pb
from douane.v1 import coverage_pb2 as coverage
from douane.v1.control_pb2_grpc import DecisionLogStub
from sqlalchemy import Engine, select

from analytics.access import keys
from analytics.access.keys import NewToken
from analytics.access.principal import LOCAL, LOCAL_SIDECAR, SIDECAR_SCOPES, Principal
from analytics.ingest import auth, server
from analytics.ingest.auth import Guard, Refused, Senders, Shown
from analytics.ingest.commit import Books
from analytics.store import database, tokens
from analytics.store.tables import RECORDS
from analytics.telemetry import Metrics
from tests.analytics.access.people_here import NOW_S, tenant
from tests.analytics.traffic import record

SHARED = "shared-token-of-32-characters-at-least"
NOT_KNOWN = "this token is not known, has expired, or was revoked"
SIDECAR = ("ingest", "control")


def senders(engine: Engine, *, required: bool = True, shared: str = "", now_s: float = NOW_S) -> Senders:
    return Senders(engine, lambda: now_s, required=required, shared_token=shared)


def made(engine: Engine, of: str | None, scopes: tuple[str, ...] = SIDECAR, expires: int | None = None) -> str:
    with database.writing(engine) as connection:
        if of:
            tenant(connection, of)
        return keys.create(connection, LOCAL, NewToken("web", "viewer", of, scopes, expires), NOW_S)[1]


def refused(one: Senders, shown: Shown) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(Refused) as caught:
        one.find(shown)
    return caught.value.code, caught.value.reason


# ── whom a call speaks for ─────────────────────────────────────────────────────────────────────────────────────────


def test_on_this_machine_a_sidecar_needs_no_token_and_elsewhere_it_does(sqlite_engine: Engine) -> None:
    assert senders(sqlite_engine, required=False).find(Shown()) == LOCAL_SIDECAR
    code, reason = refused(senders(sqlite_engine), Shown())
    assert (code, reason.partition(" (")[0]) == (grpc.StatusCode.UNAUTHENTICATED, "a sidecar needs a token here")


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("text", ["", "dou_wrong", "dou_" + "0" * 16 + "_" + "a" * 43, "\ud800"])
def test_a_wrong_token_is_refused_everywhere(sqlite_engine: Engine, required: bool, text: str) -> None:
    one = senders(sqlite_engine, required=required)
    assert refused(one, Shown(text)) == (grpc.StatusCode.UNAUTHENTICATED, NOT_KNOWN)


def test_a_token_speaks_for_its_tenant_until_it_expires(sqlite_engine: Engine) -> None:
    text = made(sqlite_engine, "acme", expires=int(NOW_S) + 60)
    expected = Principal("token:web", "viewer", "acme", SIDECAR_SCOPES)
    assert senders(sqlite_engine).find(Shown(text)) == expected
    assert senders(sqlite_engine, required=False).find(Shown(text)) == expected
    code, reason = refused(senders(sqlite_engine, now_s=NOW_S + 60), Shown(text))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, NOT_KNOWN)
    with sqlite_engine.connect() as connection:
        assert [one.last_used_unix_s for one in tokens.every(connection, None)] == [int(NOW_S)]


def test_the_shared_token_speaks_for_every_tenant(sqlite_engine: Engine) -> None:
    one = senders(sqlite_engine, shared=SHARED)
    assert one.find(Shown(SHARED)) == Principal("shared sidecar token", "viewer", None, SIDECAR_SCOPES)
    assert refused(one, Shown(SHARED + "x"))[0] is grpc.StatusCode.UNAUTHENTICATED
    assert refused(senders(sqlite_engine), Shown(""))[0] is grpc.StatusCode.UNAUTHENTICATED  # none is set: none fits


@pytest.mark.parametrize(
    ("uris", "of"),
    [
        (("urn:douane:tenant:acme",), "acme"),
        (("spiffe://corp/x", "urn:douane:tenant:acme%20corp"), "acme corp"),
        (("urn:douane:installation",), None),
    ],
)
def test_a_certificate_speaks_for_the_tenant_it_names(
    sqlite_engine: Engine, uris: tuple[str, ...], of: str | None
) -> None:
    found = senders(sqlite_engine).find(Shown(None, uris))
    assert (found.tenant, found.scopes, found.role) == (of, SIDECAR_SCOPES, "viewer")


@pytest.mark.parametrize("uris", [(), ("acme",), ("urn:douane:tenant:",), ("urn:douane:installation:x",)])
def test_a_certificate_that_names_none_opens_nothing(sqlite_engine: Engine, uris: tuple[str, ...]) -> None:
    assert refused(senders(sqlite_engine, required=False), Shown(None, uris))[0] is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_counts_before_a_certificate(sqlite_engine: Engine) -> None:
    text = made(sqlite_engine, "acme")
    assert senders(sqlite_engine).find(Shown(text, ("urn:douane:installation",))).tenant == "acme"
    code, _ = refused(senders(sqlite_engine), Shown("wrong", ("urn:douane:installation",)))
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_a_database_that_is_away_is_no_refusal() -> None:
    engine = database.connect("postgresql+psycopg://douane@127.0.0.1:1/douane")
    text = "dou_" + "0" * 16 + "_" + "a" * 43
    assert refused(senders(engine), Shown(text))[0] is grpc.StatusCode.UNAVAILABLE
    engine.dispose()


def test_a_stream_hears_of_the_tenant_it_is_bound_to() -> None:
    def heard(bound: str | None, asked: str) -> str:
        auth._SENDER.set(Principal("x", "viewer", bound, SIDECAR_SCOPES))
        return auth.admit(None, asked)

    assert [heard(None, ""), heard(None, "acme"), heard("acme", ""), heard("acme", "acme")] == ["", *["acme"] * 3]
    with pytest.raises(PermissionError, match="this sidecar is bound to the tenant acme"):
        heard("acme", "zeta")


# ── through a real server ───────────────────────────────────────────────────────────────────────────────────────────


class Steering:
    """Services beside DecisionLog: Control as a stream of either kind, and one that nobody listed."""

    def __init__(self) -> None:
        self.heard: list[Principal] = []
        self.ended = asyncio.Event()

    async def yielding(self, _request: bytes, _context: Any) -> AsyncIterator[bytes]:
        self.heard.append(auth.sender())
        try:
            for _ in range(1_000):
                yield b"more"
                await asyncio.sleep(0.01)
        finally:
            self.ended.set()

    async def writing(self, requests: AsyncIterator[bytes], context: Any) -> None:
        self.heard.append(auth.sender())
        async for request in requests:
            await context.write(request)

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        control = {
            "Yield": grpc.unary_stream_rpc_method_handler(self.yielding),
            "Write": grpc.stream_stream_rpc_method_handler(self.writing),
        }
        return tuple(
            grpc.method_handlers_generic_handler(name, control) for name in ("douane.v1.Control", "douane.v1.Unlisted")
        )


@asynccontextmanager
async def serving(
    engine: Engine, one: Senders, steering: Steering | None = None, tls: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    metrics = Metrics(10, 100, 5.0)
    with ThreadPoolExecutor(1) as writer:
        servicer = server.DecisionLog(Books(engine).store, lambda rows: 0, metrics, writer)
        served = server.build(servicer, Guard(one))
        served.add_generic_rpc_handlers((steering or Steering()).handlers())
        port = served.add_secure_port("localhost:0", tls) if tls else served.add_insecure_port("localhost:0")
        await served.start()
        yield port
        await served.stop(0)


def metadata(text: str | None) -> tuple[tuple[str, str], ...]:
    return () if text is None else (("authorization", f"Bearer {text}"),)


def batch() -> pb.PublishRequest:
    rows = [record(number) for number in range(4)]
    for row, of in zip(rows, ("acme", "zeta", "", "acme "), strict=True):
        row.identity.tenant = of
    return pb.PublishRequest(records=rows)


def stored(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.execute(select(RECORDS.c.tenant)).scalars())


@pytest.mark.server
async def test_a_sidecar_of_a_tenant_stores_its_records_alone_and_is_told_why(engine: Engine) -> None:
    text = made(engine, "acme")
    async with serving(engine, senders(engine)) as port, grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        answer = await DecisionLogStub(channel).Publish(batch(), metadata=metadata(text))
    bound = "and this sidecar is bound to acme"
    assert answer.stored == 1
    assert [(one.decision_id, one.reason) for one in answer.rejected] == [
        (record(number).decision_id, f"the record names the tenant {of}, {bound}")
        for number, of in ((1, "zeta"), (2, "default"), (3, "acme "))
    ]
    assert stored(engine) == ["acme"]


@pytest.mark.server
async def test_a_sidecar_of_the_installation_stores_everybody_s(engine: Engine) -> None:
    async with (
        serving(engine, senders(engine, shared=SHARED)) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        answer = await DecisionLogStub(channel).Publish(batch(), metadata=metadata(SHARED))
    assert (answer.stored, list(answer.rejected)) == (4, [])
    assert stored(engine) == ["acme", "acme ", "default", "zeta"]


@pytest.mark.server
@pytest.mark.parametrize("scopes", [(), ("read",), ("control",)])
async def test_a_token_made_for_something_else_sends_nothing(sqlite_engine: Engine, scopes: tuple[str, ...]) -> None:
    text = made(sqlite_engine, None, scopes)
    async with (
        serving(sqlite_engine, senders(sqlite_engine)) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        log = DecisionLogStub(channel)
        for call in (
            functools.partial(log.Publish, batch()),
            functools.partial(log.Cover, coverage.CoverageReport(source="a" * 32)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(metadata=metadata(text))
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert caught.value.details() == "token:web was not made for: ingest"
    assert stored(sqlite_engine) == []


@pytest.mark.server
@pytest.mark.parametrize("text", [None, "wrong"])
async def test_nobody_gets_in_unknown_whatever_they_call(sqlite_engine: Engine, text: str | None) -> None:
    steering = Steering()
    async with (
        serving(sqlite_engine, senders(sqlite_engine), steering) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stream = channel.unary_stream("/douane.v1.Control/Yield")(b"", metadata=metadata(text))
        talk = channel.stream_stream("/douane.v1.Control/Write")(iter([b"x"]), metadata=metadata(text))
        for call in (DecisionLogStub(channel).Publish(batch(), metadata=metadata(text)), stream.read(), talk.read()):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert (stored(sqlite_engine), steering.heard) == ([], [])


@pytest.mark.server
async def test_streams_of_either_kind_know_who_listens_and_a_service_nobody_listed_is_closed(
    sqlite_engine: Engine,
) -> None:
    text, steering = made(sqlite_engine, "acme"), Steering()
    async with (
        serving(sqlite_engine, senders(sqlite_engine), steering) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stream = channel.unary_stream("/douane.v1.Control/Yield")(b"", metadata=metadata(text))
        assert await stream.read() == b"more"
        stream.cancel()
        await asyncio.wait_for(steering.ended.wait(), 5)  # a handler does not outlive its call
        talk = channel.stream_stream("/douane.v1.Control/Write")(iter([b"x", b"y"]), metadata=metadata(text))
        assert [answer async for answer in talk] == [b"x", b"y"]
        closed = channel.unary_stream("/douane.v1.Unlisted/Yield")(b"", metadata=metadata(text))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await closed.read()
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        missing = channel.unary_unary("/douane.v1.Control/Nothing")(b"", metadata=metadata(text))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await missing
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    who = Principal("token:web", "viewer", "acme", SIDECAR_SCOPES)
    assert steering.heard == [who, who]


async def _to_the_end(stream: Any) -> None:
    while await stream.read() == b"more":
        pass


@pytest.mark.server
async def test_a_revoked_token_ends_its_stream(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "RECHECK_S", 0.05)
    text, steering = made(sqlite_engine, "acme"), Steering()
    async with (
        serving(sqlite_engine, senders(sqlite_engine), steering) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stream = channel.unary_stream("/douane.v1.Control/Yield")(b"", metadata=metadata(text), timeout=10)
        assert await stream.read() == b"more"
        with database.writing(sqlite_engine) as connection:
            tokens.revoke(connection, text[4:20], int(NOW_S))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _to_the_end(stream)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, NOT_KNOWN)
        await asyncio.wait_for(steering.ended.wait(), 5)


def certificates(authority: trustme.CA, *uris: str) -> grpc.ChannelCredentials:
    """Return a client's credentials: its certificate names URIs."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web-1")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), critical=False
        )
    )
    signed = builder.sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type] # trustme's keys are elliptic curves
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(), private, signed.public_bytes(serialization.Encoding.PEM)
    )


@pytest.mark.server
async def test_mutual_tls_binds_a_sidecar_to_the_tenant_of_its_certificate(sqlite_engine: Engine) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("localhost")
    pair = (issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes())
    tls = grpc.ssl_server_credentials([pair], authority.cert_pem.bytes(), require_client_auth=True)
    answers = []
    async with serving(sqlite_engine, senders(sqlite_engine), tls=tls) as port:
        for credentials in (
            certificates(authority, "urn:douane:tenant:acme"),
            certificates(authority, "urn:other"),
            certificates(stranger, "urn:douane:installation"),
        ):
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                try:
                    answer = await DecisionLogStub(channel).Publish(batch(), timeout=5)
                    answers.append((answer.stored, len(answer.rejected)))
                except grpc.aio.AioRpcError as error:
                    answers.append(error.code())
    assert answers == [(1, 3), grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE]
    assert stored(sqlite_engine) == ["acme"]
