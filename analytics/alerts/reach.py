"""Where a tenant's own administrator may let notices be sent: to addresses of the public internet alone.

In: a channel's configuration. Out: the host that it leads to, whether that is public.
Who administers the whole installation may name any host; who administers one tenant must not reach, through us, what stands
beside us (a metadata service, a database). A name is looked up when the channel is made: a name that changes afterwards can still
lead inside, which is why no answer of a receiver is ever shown, only its status.
Never: a request.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

Lookup = Callable[[str], Iterable[str]]


def host_of(config: BaseModel) -> str:
    """Return the host that a configuration leads to, empty where nobody can tell (Apprise's services)."""
    host = getattr(config, "host", None)
    if isinstance(host, str):
        return host
    url = getattr(config, "url", None)
    parsed = urlsplit(url.get_secret_value()) if isinstance(url, SecretStr) else None
    return (parsed.hostname or "") if parsed is not None and parsed.scheme in ("http", "https") else ""


def looked_up(host: str) -> list[str]:
    """Return the addresses of a host, none when it has no name. Raises: nothing."""
    try:
        return [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


def is_public(host: str, lookup: Lookup = looked_up) -> bool:
    """Return True when a host has addresses and all of them are of the public internet."""
    found = [ipaddress.ip_address(one.partition("%")[0]) for one in lookup(host)] if host else []
    return bool(found) and all(one.is_global and not one.is_multicast for one in found)
