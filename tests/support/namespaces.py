"""Two machines made of network namespaces: a client and a provider, joined by a cable (a veth pair).

In: host names that lead to the provider. Out: namespaces that programs run in, as any user, and that sockets are opened in.
Never: touches the machine's own network: links are made and rules are set inside the namespaces, and all of it goes with them.
What a killed run left behind is removed by the next one, by name.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_PREFIX = "douane-test"
_NETNS = Path("/run/netns")  # where ip-netns(8) keeps them
_ETC = Path("/etc/netns")  # what `ip netns exec` shows its programs as /etc
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_NEEDED = {"ip": "iproute2", "iptables": "iptables", "ip6tables": "iptables", "setpriv": "util-linux", "curl": "curl"}
_numbers = count(1)

# Documentation ranges: RFC 5737 and RFC 3849. ELSEWHERE are further addresses of the provider, behind the client's default route.
CLIENT, CLIENT6 = "192.0.2.2", "2001:db8::2"
PROVIDER, PROVIDER6 = "192.0.2.1", "2001:db8::1"
ELSEWHERE, ELSEWHERE6 = "198.51.100.7", "2001:db8:1::7"


@dataclass(frozen=True)
class Namespace:
    """One of the machines."""

    name: str

    def command(self, *arguments: str, uid: int = 0, gid: int | None = None, reads_all: bool = False) -> list[str]:
        """Return the command that runs a program here as a user.

        It replaces itself step by step, so that the process that is started is the program. reads_all lets it read files of other
        users, as the interpreter that runs the tests may lie in a folder that only root enters.
        """
        group = uid if gid is None else gid
        user = ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups"]
        if reads_all:
            # no_setuid_fixup: without it access(2) forgets the capability, and a folder looks as if it were not there.
            user += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
        return ["ip", "netns", "exec", self.name, *(user if uid or group else ()), *arguments]

    def run(
        self,
        *arguments: str,
        uid: int = 0,
        gid: int | None = None,
        reads_all: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program here to its end."""
        return subprocess.run(
            self.command(*arguments, uid=uid, gid=gid, reads_all=reads_all),
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def put(self, path: str, data: bytes) -> None:
        """Write a file that programs started here from now on see under /etc, whoever they are."""
        file = _ETC / self.name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Open the sockets of this thread here. A socket stays where it was opened, whoever uses it later."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(_NETNS / self.name)
            yield
        finally:
            _set(before)
            os.close(before)


def _enter(path: Path) -> None:
    there = os.open(path, os.O_RDONLY)
    try:
        _set(there)
    finally:
        os.close(there)


def _set(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is there from Python 3.12 on
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Cable:
    """Both machines."""

    client: Namespace
    provider: Namespace


@contextmanager
def joined(names: Sequence[str] = ()) -> Iterator[Cable]:
    """Give two machines; the names lead to the provider, over IPv4 and IPv6.

    Raises: RuntimeError saying what this machine lacks.
    """
    _check()
    remove_abandoned()
    stem = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
    cable = Cable(Namespace(f"{stem}-client"), Namespace(f"{stem}-provider"))
    try:
        _make(cable)
        for machine in (cable.client, cable.provider):
            _write_etc(machine, names)
        yield cable
    finally:
        for machine in (cable.client, cable.provider):
            _remove(machine.name)


def _check() -> None:
    missing = {package for program, package in _NEEDED.items() if shutil.which(program) is None}
    if missing:
        raise RuntimeError(f"tests in network namespaces need {', '.join(sorted(missing))}: tests/install-packages")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"ip {' '.join(arguments)}: {done.stderr.strip()}. Tests of the transparent door make network namespaces: run them as "
            "root, in a container with --privileged (CAP_SYS_ADMIN and CAP_NET_ADMIN), on a kernel with veth and network namespaces"
        )


def _make(cable: Cable) -> None:
    client, provider = cable.client.name, cable.provider.name
    for name in (client, provider):
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
    _ip("link", "add", "cable", "netns", client, "type", "veth", "peer", "name", "cable", "netns", provider)
    addresses = {
        client: (f"{CLIENT}/24", f"{CLIENT6}/64"),
        provider: (f"{PROVIDER}/24", f"{PROVIDER6}/64", f"{ELSEWHERE}/32", f"{ELSEWHERE6}/128"),
    }
    for name, given in addresses.items():
        for address in given:
            # nodad: the address is usable at once, as nobody else is on this cable.
            _ip("-n", name, "address", "add", address, "dev", "cable", *(("nodad",) if ":" in address else ()))
        _ip("-n", name, "link", "set", "cable", "up")
    _ip("-n", client, "route", "add", "default", "via", PROVIDER)
    _ip("-n", client, "-6", "route", "add", "default", "via", PROVIDER6)


def _write_etc(machine: Namespace, names: Sequence[str]) -> None:
    own = "127.0.0.1 localhost\n::1 localhost\n"
    theirs = "".join(f"{PROVIDER} {name}\n{PROVIDER6} {name}\n" for name in names)
    machine.put("hosts", (own + theirs).encode())
    # Nobody answers there, and the kernel says so at once: an unknown name fails without a wait.
    machine.put("resolv.conf", f"nameserver {PROVIDER}\noptions timeout:1 attempts:1\n".encode())


def remove_abandoned() -> None:
    """Remove the namespaces of runs whose process is gone, and end what they left running in them."""
    for folder in (_NETNS, _ETC):
        for path in folder.glob(f"{_PREFIX}-*"):
            found = re.fullmatch(rf"{_PREFIX}-(\d+)-\d+-(client|provider)", path.name)
            if found and not Path("/proc", found[1]).exists():
                _remove(path.name)


def _end_all(name: str) -> None:
    """End the processes in a namespace of ours: without its name nobody finds them again."""
    listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, timeout=20, check=False)
    for number in set(listed.stdout.split()) - {str(os.getpid())}:
        with suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGKILL)


def _remove(name: str) -> None:
    if (_NETNS / name).exists():
        _end_all(name)
        _ip("netns", "delete", name)
    shutil.rmtree(_ETC / name, ignore_errors=True)
    with suppress(OSError):
        _ETC.rmdir()  # ours if it is empty
