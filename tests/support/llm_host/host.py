"""The provider's server: Hypercorn in a thread, one plain port and one with TLS, each HTTP/1.1 and HTTP/2.

The certificate is for localhost and for the names of real providers, so that a client may call it by those. Its authority is made
new for each provider and belongs to nobody else.
"""

import asyncio
import threading
from pathlib import Path

import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.support.installation import eventually
from tests.support.llm_host.application import Application, Call
from tests.support.ports import accepts, free_ports

NAMES = (
    "localhost",
    "127.0.0.1",
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.cohere.com",
    "api.mistral.ai",
    "openrouter.ai",
    "*.openai.azure.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "files.example.com",  # no provider: passes through
)


class LlmHost:
    """Starts in the constructor, stops with close(). folder gets the certificates; authority is the file clients trust."""

    def __init__(self, folder: Path) -> None:
        self._application = Application()
        self.plain_port, self.tls_port = free_ports(2)
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = folder / "provider-ca.pem"
        self._config = self._configure(folder)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="llm-host", daemon=True)
        self._thread.start()
        eventually(lambda: accepts(self.plain_port) and accepts(self.tls_port), 10)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.tls_port}"

    @property
    def plain_url(self) -> str:
        return f"http://127.0.0.1:{self.plain_port}"

    @property
    def calls(self) -> list[Call]:
        """Every call that arrived whole, in order."""
        return self._application.calls

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)
        if self._thread.is_alive():
            raise AssertionError("the provider does not stop")

    def _configure(self, folder: Path) -> Config:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        certificate = authority.issue_cert(*NAMES)
        key, chain = folder / "provider.key", folder / "provider.pem"
        certificate.private_key_pem.write_to_path(key)
        for index, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(chain, append=index > 0)
        config = Config()
        config.insecure_bind = [f"127.0.0.1:{self.plain_port}"]
        config.bind = [f"127.0.0.1:{self.tls_port}"]
        config.certfile, config.keyfile = str(chain), str(key)
        config.alpn_protocols = ["h2", "http/1.1"]
        config.graceful_timeout = 1.0
        config.errorlog = None
        return config

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        served = serve(self._application, self._config, shutdown_trigger=self._stopping.wait)  # type: ignore[arg-type]
        self._loop.run_until_complete(served)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
