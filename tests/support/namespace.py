"""A network of one's own: a namespace that this thread, and what it starts, is in for a while. Needs root, ip and iptables."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# linux/sched.h
_NEW_NETWORK = 0x40000000
# RFC 5737 and RFC 3849 (documentation): lead nowhere, so that a mistake stays here.
STRANGER, STRANGER6 = "198.51.100.1", "2001:db8::1"
CLIENT_UID = 65534  # nobody


@contextmanager
def private_network() -> Iterator[None]:
    """Be in a network with loopback, and a stranger's addresses."""
    before = Path("/proc/thread-self/ns/net").open()  # noqa: SIM115 - closed below
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _called(libc.unshare(_NEW_NETWORK))
        run("ip", "link", "set", "lo", "up")
        run("ip", "address", "add", f"{STRANGER}/32", "dev", "lo")
        run("ip", "-6", "address", "add", f"{STRANGER6}/128", "dev", "lo", "nodad")
        yield
    finally:
        _called(libc.setns(before.fileno(), _NEW_NETWORK))
        before.close()


def redirect(port: int) -> None:
    """Lead what the client's user sends to the stranger to a port here."""
    for command, address in (("iptables", STRANGER), ("ip6tables", STRANGER6)):
        run(
            command, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-d", address, "-m", "owner", "--uid-owner", str(CLIENT_UID),
            "-j", "REDIRECT", "--to-ports", str(port),
        )  # fmt: skip


def client(address: str, port: int) -> socket.socket:
    """Connect as the client's user: the kernel looks at who made the socket."""
    os.seteuid(CLIENT_UID)
    try:
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    finally:
        os.seteuid(0)
    made.settimeout(15)
    made.connect((address, port))
    return made


def run(*command: str) -> None:
    """Run a command.

    Raises: AssertionError with what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def _called(status: int) -> None:
    if status:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
