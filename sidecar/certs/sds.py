"""Envoy's questions for certificates: a secret discovery service that issues a leaf for each name a client asks for.

In: StreamSecrets over a Unix socket (state of the world: each request lists every name Envoy holds). Out: a secret per name the
authority may sign for; again before a leaf ends, and when the authority is rotated. Others get no answer: Envoy ends their
handshakes.
It is a process of its own: the authority's key is in none that reads bodies, and gRPC in none that forks.
Never: answers a request that only acknowledges; issues a leaf twice while the first is good.
Source: Envoy 1.40, "xDS protocol" (state of the world, ACK and NACK), and ENVOY.md 5.
"""

import asyncio
import logging
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import grpc
from douane.envoy import sds_pb2 as pb
from google.protobuf.any_pb2 import Any as ProtobufAny

from sidecar.certs.authority import LEAF_LIFE, Authority, AuthorityError, Leaf

log = logging.getLogger("douane.certs")

SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
# Renewed at half of its life: Let's Encrypt's advice is a third before the end, and ours cost nothing.
_RENEWED_BEFORE = LEAF_LIFE / 2
_LOOK_EVERY = timedelta(seconds=5)
# A hostile client could ask for any name below a wildcard: older leaves are forgotten, and issued again when asked for.
_MAX_LEAVES = 2_000


class Issuer:
    """Issues leaves and remembers them. version changes with the authority."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._leaves: OrderedDict[str, Leaf] = OrderedDict()
        self.version = 1

    def leaf(self, name: str) -> Leaf | None:
        """Return a good leaf for a name, None where the authority may not sign for it. Units: 1 ms where it is new."""
        known = self._leaves.get(name)
        if known is None or known.not_after - self._authority.now() < _RENEWED_BEFORE:
            if not self._authority.signs_for(name):
                return None
            known = self._leaves[name] = self._authority.leaf(name)
        self._leaves.move_to_end(name)
        if len(self._leaves) > _MAX_LEAVES:
            self._leaves.popitem(last=False)
        return known

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


class _Subscription:
    """One stream of Envoy's: the names it holds, and the leaf each was last sent."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._names: tuple[str, ...] = ()
        self._sent: dict[str, Leaf] = {}
        self._count = 0

    def asked(self, request: pb.DiscoveryRequest) -> None:
        """Take what Envoy wants. What it no longer names it has forgotten."""
        if request.HasField("error_detail"):
            log.error("secret.refused", extra={"reason": request.error_detail.message})
        self._names = tuple(request.resource_names)
        self._sent = {name: leaf for name, leaf in self._sent.items() if name in self._names}

    def due(self) -> pb.DiscoveryResponse | None:
        """Return the leaves that Envoy does not have yet; None when it has all that it can get."""
        leaves = [leaf for name in self._names if (leaf := self._issuer.leaf(name)) is not None]
        new = [leaf for leaf in leaves if self._sent.get(leaf.name) is not leaf]
        if not new:
            return None
        self._sent.update((leaf.name, leaf) for leaf in new)
        self._count += 1
        return response(new, f"{self._issuer.version}.{self._count}")


def response(leaves: Iterable[Leaf], version: str) -> pb.DiscoveryResponse:
    """Return the message that carries leaves to Envoy."""
    return pb.DiscoveryResponse(
        version_info=version, nonce=version, type_url=SECRET_TYPE, resources=[_resource(leaf) for leaf in leaves]
    )


def _resource(leaf: Leaf) -> ProtobufAny:
    certificate = pb.TlsCertificate(
        certificate_chain=pb.DataSource(inline_bytes=leaf.chain_pem),
        private_key=pb.DataSource(inline_bytes=leaf.key_pem),
    )
    secret = pb.Secret(name=leaf.name, tls_certificate=certificate)
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
        requests: AsyncIterator[pb.DiscoveryRequest], _context: Any
    ) -> AsyncIterator[pb.DiscoveryResponse]:
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
        request_deserializer=pb.DiscoveryRequest.FromString,
        response_serializer=pb.DiscoveryResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler(
        "envoy.service.secret.v3.SecretDiscoveryService", {"StreamSecrets": method}
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(address)
    return server
