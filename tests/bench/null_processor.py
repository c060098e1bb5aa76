"""The null processor: what any Python ext_proc costs before it does anything.

    python -m tests.bench.null_processor --socket PATH

grpc.aio on uvloop, our generated classes, the server options of sidecar/extproc/server.py; every message is read, told apart, and
answered with "go on" from bytes made at import. It is the floor that Douane is compared with.
"""

import argparse
from collections.abc import AsyncIterator
from typing import Any

import grpc
import uvloop
from douane.envoy.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_MESSAGE_BYTES = 256 * 1024 * 1024
# As in sidecar/extproc/server.py: the floor must stand on the same ground.
_OPTIONS = [
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    ("grpc.max_concurrent_streams", 100_000),
    ("grpc.so_reuseport", 0),
]


def _go_on(phase: str) -> bytes:
    response = ProcessingResponse()
    getattr(response, phase).SetInParent()
    return response.SerializeToString()


_GO_ON = {phase: _go_on(phase) for phase in ("request_headers", "request_body", "response_headers", "response_body")}


async def _process(requests: AsyncIterator[ProcessingRequest], _context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield _GO_ON[request.WhichOneof("request")]


async def _serve(address: str) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    method = grpc.stream_stream_rpc_method_handler(
        _process, request_deserializer=ProcessingRequest.FromString, response_serializer=bytes
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Process": method}),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description="The null processor.")
    parser.add_argument("--socket", required=True)
    uvloop.run(_serve(f"unix:{parser.parse_args().socket}"))


if __name__ == "__main__":
    main()
