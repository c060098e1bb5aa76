"""Envoy's questions for certificates: a secret discovery service that issues a leaf for each name a client asks for.

In: DeltaSecrets over a Unix socket: the names that Envoy wants and no longer wants. Out: a secret per name the authority may sign
for; again before a leaf ends, and when the authority is rotated. Every other name is answered as removed: Envoy fails the
handshakes that wait for it, and forgets it.
It is a process of its own: the authority's key is in none that reads bodies, and gRPC in none that forks.
Never: answers a request that only acknowledges; issues a leaf twice while the first is good.
The incremental protocol, and not state of the world: that one cannot say that there is no such secret, so that handshakes hang
until their timeout and Envoy keeps a stream for every name anybody ever made up.
Source: Envoy 1.40, "xDS protocol" (incremental xDS, ACK and NACK), on_demand_secret.v3, and ENVOY.md 5.
"""

import asyncio
import logging
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from typing import Any

import grpc
from douane.envoy import sds_pb2 as pb
from google.protobuf.any_pb2 import Any as ProtobufAny

from sidecar.certs.authority import Authority, AuthorityError
from sidecar.certs.signing import LEAF_LIFE, Leaf

log = logging.getLogger("douane.certs")

SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
# Renewed at half of its life: Let's Encrypt's advice is a third before the end, and ours cost nothing.
_RENEWED_BEFORE = LEAF_LIFE / 2
_LOOK_EVERY = timedelta(seconds=5)
# A hostile client could ask for any name below a wildcard, and Envoy holds a stream for each: older ones are taken back, and
# issued again when asked for.
_MAX_LEAVES = 2_000


class Issuer:
    """Issues leaves and remembers them. version changes with the authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._leaves: OrderedDict[str, Leaf] = OrderedDict()
        self.version = 1

    def leaf(self, asked: str) -> Leaf | None:
        """Return a good leaf for a name, None where the authority may not sign for it. Units: 1 ms where it is new.

        Shape: names are asked for as clients wrote them: API.OpenAI.com, or with the final dot of a whole name.
        """
        name = _plain(asked)
        known = self._leaves.get(name)
        if known is None or self.outdated(known):
            if not self._authority.signs_for(name):
                return None
            known = self._leaves[name] = self._authority.leaf(name)
        self._leaves.move_to_end(name)
        if len(self._leaves) > _MAX_LEAVES:
            self._leaves.popitem(last=False)
        return known

    def outdated(self, leaf: Leaf) -> bool:
        """Tell whether a leaf has lived for half of its life, and a new one would end later."""
        now, ends = self._authority.now(), self._authority.certificate.not_valid_after_utc
        return leaf.not_after < min(now + _RENEWED_BEFORE, ends)

    def forgot(self, asked: str) -> bool:
        """Tell whether a name's leaf has made room for others."""
        return _plain(asked) not in self._leaves

    def look(self) -> None:
        """See whether the authority was rotated. A broken one leaves the last in force, and is logged."""
        try:
            found = self._authority.reloaded()
        except (AuthorityError, OSError) as error:
            log.error("authority.refused", extra={"reason": str(error)})  # noqa: TRY400 - no traceback
            return
        if found is not self._authority:
            log.info("authority.rotated", extra={"subject": found.certificate.subject.rfc4514_string()})
            self._authority = found
            self._leaves.clear()
            self.version += 1


def _plain(asked: str) -> str:
    return asked.lower().removesuffix(".")


class _Subscription:
    """One stream of Envoy's: the names it wants, and the leaf each was last sent."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._sent: dict[str, tuple[Leaf, int]] = {}
        self._new: list[str] = []
        self._count = 0

    def asked(self, request: pb.DeltaDiscoveryRequest) -> None:
        """Take what Envoy wants, and what it no longer wants."""
        if request.HasField("error_detail"):
            log.error("secret.refused", extra={"reason": request.error_detail.message})
        self._new += request.resource_names_subscribe
        for name in request.resource_names_unsubscribe:
            self._sent.pop(name, None)

    def due(self) -> pb.DeltaDiscoveryResponse | None:
        """Return what Envoy does not know yet; None when it knows everything."""
        wanted = dict.fromkeys((*self._new, *(name for name, sent in self._sent.items() if self._old(*sent))))
        leaves = {name: self._issuer.leaf(name) for name in wanted}
        given = {name: leaf for name, leaf in leaves.items() if leaf is not None}
        refused = [name for name in leaves if name not in given]
        forgotten = [name for name in self._sent if name not in wanted and self._issuer.forgot(name)]
        none = [*refused, *forgotten]
        self._new = []
        if not given and not none:
            return None
        version = self._issuer.version
        self._sent |= {name: (leaf, version) for name, leaf in given.items()}
        for name in none:
            self._sent.pop(name, None)
        self._count += 1
        return response(given, none, f"{version}.{self._count}")

    def _old(self, leaf: Leaf, version: int) -> bool:
        return version != self._issuer.version or self._issuer.outdated(leaf)


def response(given: Mapping[str, Leaf], none: Iterable[str], version: str) -> pb.DeltaDiscoveryResponse:
    """Return the message that carries leaves to Envoy, by the names they were asked for, and names that have none."""
    resources = [
        pb.Resource(name=name, version=version, resource=_resource(name, leaf)) for name, leaf in given.items()
    ]
    return pb.DeltaDiscoveryResponse(
        system_version_info=version,
        nonce=version,
        type_url=SECRET_TYPE,
        resources=resources,
        removed_resources=list(none),
    )


def _resource(name: str, leaf: Leaf) -> ProtobufAny:
    certificate = pb.TlsCertificate(
        certificate_chain=pb.DataSource(inline_bytes=leaf.chain_pem),
        private_key=pb.DataSource(inline_bytes=leaf.key_pem),
    )
    secret = pb.Secret(name=name, tls_certificate=certificate)
    return ProtobufAny(type_url=SECRET_TYPE, value=secret.SerializeToString())


async def serve(issuer: Issuer, address: str) -> None:
    """Answer at an address until SIGTERM or SIGINT."""
    server = build_server(issuer, address)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    log.info("certificates.ready", extra={"address": address})
    await stop.wait()
    await server.stop(None)


def build_server(issuer: Issuer, address: str) -> grpc.aio.Server:
    """Return a server bound to an address such as unix:/run/douane/sds.sock, not yet started.

    Raises: RuntimeError when the address cannot be bound.
    """

    async def stream(
        requests: AsyncIterator[pb.DeltaDiscoveryRequest], _context: Any
    ) -> AsyncIterator[pb.DeltaDiscoveryResponse]:
        subscription = _Subscription(issuer)
        asked = asyncio.ensure_future(anext(requests, None))
        try:
            while True:
                await asyncio.wait({asked}, timeout=_LOOK_EVERY.total_seconds())
                if asked.done():
                    request = asked.result()
                    if request is None:
                        return
                    subscription.asked(request)
                    asked = asyncio.ensure_future(anext(requests, None))
                else:
                    issuer.look()
                if (due := subscription.due()) is not None:
                    yield due
        finally:
            asked.cancel()

    method = grpc.stream_stream_rpc_method_handler(
        stream,
        request_deserializer=pb.DeltaDiscoveryRequest.FromString,
        response_serializer=pb.DeltaDiscoveryResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler(
        "envoy.service.secret.v3.SecretDiscoveryService", {"DeltaSecrets": method}
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(address)
    return server
