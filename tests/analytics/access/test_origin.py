"""Where requests come from: DNS rebinding, forged requests, proxies on this machine."""

import pytest

from analytics.access.origin import Asked, client_address, is_local, is_loopback, is_own

HERE = {"host": "localhost:8080", "peer": "127.0.0.1"}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost.", "::ffff:127.0.0.1"]
)
def test_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["", "0.0.0.0", "10.0.0.1", "::", "fe80::1%lo", "localhost.evil.test", "127.0.0.1.evil.test", "127.1", "2130706433",
     "unix:", "testclient", "::ffff:10.0.0.1"],
)  # fmt: skip
def test_not_this_machine(address: str) -> None:
    assert not is_loopback(address)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8080", "127.0.0.2", "localhost.:80"]
)
def test_a_name_of_this_machine_is_local(host: str) -> None:
    assert is_local(Asked("GET", host=host, peer="127.0.0.1"))


@pytest.mark.parametrize(
    "host",
    ["", "evil.test", "evil.test:8080", "127.0.0.1.nip.io", "localhost.evil.test", "user@localhost", "localhost/x",
     "[::1", "10.0.0.1:8080", "evil.test#@localhost", "localhost:8080@evil.test", "127.0.0.1 evil.test"],
)  # fmt: skip
def test_a_rebound_name_is_not_local(host: str) -> None:
    """The page at evil.test has made its own name lead here: the browser says so in Host."""
    assert not is_local(Asked("GET", host=host, peer="127.0.0.1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "local"),
    [
        ("127.0.0.1", (), True),
        ("::1", ("127.0.0.1",), True),
        ("127.0.0.1", ("203.0.113.9",), False),  # Envoy at DOUANE_BIND=0.0.0.0, an nginx, a tunnel
        ("127.0.0.1", ("127.0.0.1", "203.0.113.9"), False),
        ("127.0.0.1", ("203.0.113.9", "127.0.0.1"), False),
        ("127.0.0.1", ("unknown",), False),
        ("127.0.0.1", ("",), False),
        ("203.0.113.9", (), False),
        ("203.0.113.9", ("127.0.0.1",), False),  # forged
        ("", (), False),
    ],
)
def test_who_comes_through_a_proxy_is_not_local(peer: str, forwarded: tuple[str, ...], local: bool) -> None:
    assert is_local(Asked("GET", host="localhost:8080", peer=peer, forwarded=forwarded)) is local


@pytest.mark.parametrize(
    ("head", "own"),
    [
        ({}, True),  # a program
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://LOCALHOST:8080", "site": "same-origin"}, True),
        ({"origin": "http://localhost:8080", "site": "none"}, True),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "http://localhost:3000"}, False),  # another server on this machine
        ({"origin": "http://localhost:3000", "site": "same-site"}, False),
        ({"origin": "http://localhost:8080.evil.test"}, False),
        ({"origin": "null"}, False),  # a sandboxed frame, a file, a redirect
        ({"origin": "http://[::1"}, False),
        ({"site": "cross-site"}, False),
        ({"site": "same-site"}, False),
        ({"site": "cross-site", "mode": "navigate"}, False),  # a form of a stranger's
        ({"site": "unheard-of"}, False),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "FROBNICATE"])
def test_changes_come_from_our_own_pages_or_programs(method: str, head: dict[str, str], own: bool) -> None:
    assert is_own(Asked(method, **HERE, **head)) is own


@pytest.mark.parametrize(
    ("head", "own"),
    [
        ({}, True),
        ({"site": "same-origin", "mode": "cors"}, True),
        ({"site": "none", "mode": "navigate", "target": "document"}, True),
        ({"site": "cross-site", "mode": "navigate", "target": "document"}, True),  # a link in a mail
        ({"site": "cross-site", "mode": "navigate", "target": "iframe"}, False),
        ({"site": "cross-site", "mode": "no-cors", "target": "script"}, False),
        ({"site": "cross-site", "mode": "cors"}, False),
        ({"site": "same-site", "mode": "no-cors", "target": "image"}, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_strangers_pages_may_link_here_and_nothing_else(method: str, head: dict[str, str], own: bool) -> None:
    assert is_own(Asked(method, **HERE, **head)) is own


def test_further_origins_of_ours_are_named() -> None:
    asked = Asked("POST", host="10.0.0.7:8080", peer="10.0.0.2", origin="https://douane.example")
    assert not is_own(asked)
    assert is_own(asked, ("https://douane.example",))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # no proxy of ours: what it forwards may be forged
        ("127.0.0.1", ("198.51.100.1", "203.0.113.9"), "203.0.113.9"),
        ("127.0.0.1", ("203.0.113.9", "10.1.2.3"), "203.0.113.9"),
        ("127.0.0.1", ("10.1.2.3",), "127.0.0.1"),
        ("127.0.0.1", ("rubbish", "10.1.2.3"), "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", (), "2001:db8:1:2::/64"),
        ("testclient", (), "testclient"),
        ("fe80::1%eth0", (), "fe80::/64"),
    ],
)
def test_log_ins_are_counted_by_who_is_behind_our_proxies(peer: str, forwarded: tuple[str, ...], client: str) -> None:
    assert client_address(Asked("POST", peer=peer, forwarded=forwarded), ("127.0.0.0/8", "10.0.0.0/8")) == client
