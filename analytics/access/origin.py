"""Where a request comes from: this machine or another, a page of ours or a stranger's, a person's browser or a program.

In: an Asked, what a request's head says. Out: yes or no.
Three ways lead from a stranger's page to a service on this machine, and each is closed here:
* DNS rebinding: the page's own name is made to lead to 127.0.0.1. The browser then sends that name as Host, so only names that
  always mean this machine are local (RFC 6761, 6.3; RFC 6890).
* Forged requests (CSRF): the page posts to http://localhost. Browsers tell with Origin, and with Sec-Fetch-Site (W3C Fetch
  Metadata), which page asks; what neither tells was sent by a program.
* A page of another port of this machine: for cookies and Sec-Fetch-Site the "same site", but another origin. It is a stranger.
A proxy on this machine (our Envoy at DOUANE_BIND, an nginx, an ssh tunnel) makes everybody's address the loopback's: where a
forwarding header names anybody else, the request is not local.
Never: trust in what a client could have written, where it would open something: forwarding headers only ever take away.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.1
_OWN_SITES = ("", "same-origin", "none")  # none: typed by the reader, or a bookmark
_EMBEDDED = ("object", "embed", "iframe", "frame")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's head. forwarded: every address that a forwarding header names, in the order they stand."""

    method: str
    host: str = ""
    peer: str = ""
    forwarded: tuple[str, ...] = ()
    origin: str = ""
    site: str = ""
    mode: str = ""
    target: str = ""


def is_loopback(address: str) -> bool:
    """Return whether an address means this machine; what is no address does not, but for the name localhost."""
    if address.lower().rstrip(".") == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def is_local(asked: Asked) -> bool:
    """Return whether a request was made on this machine, to a name of this machine."""
    return is_loopback(asked.peer) and all(map(is_loopback, asked.forwarded)) and is_loopback(_host_name(asked.host))


def is_own(asked: Asked, origins: Iterable[str] = ()) -> bool:
    """Return whether no page of a stranger made the request. origins: further ones of ours, as browsers write them.

    Changes: only from pages of this very origin, or from programs, which send neither header.
    Reading: also by following a link; a stranger's page cannot read what its browser shows in a window of its own.
    """
    if asked.method in SAFE_METHODS:
        return asked.site in _OWN_SITES or (asked.mode == "navigate" and asked.target not in _EMBEDDED)
    if asked.site not in _OWN_SITES:
        return False
    return not asked.origin or asked.origin in origins or _authority(asked.origin) == asked.host.lower()


def client_address(asked: Asked, proxies: Iterable[str]) -> str:
    """Return who asks, to count log-ins by: the last address before those of our own proxies.

    proxies: networks whose word is taken ("10.0.0.0/8"); what stands left of the first stranger may be forged.
    """
    trusted = [ipaddress.ip_network(one) for one in proxies]
    for address in (asked.peer, *reversed(asked.forwarded)):
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return asked.peer
        if not any(found in network for network in trusted):
            return _block(found)
    return asked.peer


def _block(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address, of IPv6 the /64 that one customer has (RFC 6177)."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _host_name(host: str) -> str:
    """Return a Host header's name without its port, empty when it is none."""
    try:
        return urlsplit(f"//{host}").hostname or "" if host and "@" not in host and "/" not in host else ""
    except ValueError:
        return ""


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
