"""TLS clients of four kinds, and a server for them: who accepts which certificate."""

from tests.support.tls_clients.clients import CLIENTS, Client, serving

__all__ = ["CLIENTS", "Client", "serving"]
