"""envoy/capture.sh: who is captured and who is not, in network namespaces, with both kinds of iptables. No Envoy is needed."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.listeners import Listener
from tests.support.namespaces import (
    CLIENT,
    ELSEWHERE,
    ELSEWHERE6,
    PROVIDER,
    PROVIDER6,
    Cable,
    joined,
    remove_abandoned,
)

pytestmark = pytest.mark.server

SCRIPT = Path(__file__).parents[2] / "envoy" / "capture.sh"
ENVOY_UID, APP_UID = 1337, 4242
# Somebody else's rules, as Docker makes them: they are there before, and stay.
THEIRS = """*nat
:OTHERS - [0:0]
-A OUTPUT -d 203.0.113.0/24 -p tcp -j OTHERS
-A OTHERS -p tcp --dport 443 -j RETURN
COMMIT
*filter
:OTHERS - [0:0]
-A OUTPUT -p tcp --dport 25 -j OTHERS
-A OTHERS -j REJECT
COMMIT
"""
# Any rule that asks for the state of connections makes the kernel track them.
_TRACKING = ("-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
DIAL = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as c:
        print(c.recv(100).decode().strip())
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class World:
    """Two machines; on one the redirected connections arrive, on the other the direct ones."""

    cable: Cable
    iptables: str

    def capture(self, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self.cable.client.run(str(SCRIPT), *options, environment={"IPTABLES": self.iptables, **environment})

    def up(self, *options: str) -> None:
        done = self.capture("up", *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def dial(self, address: str, port: int = 443, *, uid: int = APP_UID, gid: int | None = None) -> str:
        """Return who answered a program of a user, and for which address."""
        done = self.cable.client.run(sys.executable, "-ISc", DIAL, address, str(port), uid=uid, gid=gid, reads_all=True)
        assert done.stderr == ""
        return done.stdout.strip()

    def save(self) -> list[str]:
        """Return all rules of both families, without the times and counters."""
        text = ""
        for family in ("iptables", "ip6tables"):
            done = self.cable.client.run(f"{self.iptables.replace('iptables', family, 1)}-save")
            assert done.returncode == 0, done.stderr
            text += done.stdout
        return [re.sub(r"\[\d+:\d+\]", "", line) for line in text.splitlines() if not line.startswith("#")]

    def ours(self) -> list[str]:
        return [line for line in self.save() if "DOUANE" in line]


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    with joined() as made, ExitStack() as stack:
        with made.client.entered():
            servers = [
                Listener("captured", "127.0.0.1", 15001, redirected=True),
                Listener("captured", "::1", 15001, redirected=True),
                Listener("captured-elsewhere", "127.0.0.1", 15009, redirected=True),
                Listener("local", "127.0.0.1", 443),
                Listener("local", CLIENT, 443),
                Listener("local", "::1", 443),
            ]
        with made.provider.entered():
            servers += [Listener("direct", "::", port) for port in (443, 80, 8443, 53)]
            servers += [Listener("direct", "0.0.0.0", port) for port in (443, 80, 8443, 53)]
        for server in servers:
            stack.callback(server.close)
        yield made


@pytest.fixture(params=["iptables-nft", "iptables-legacy"])
def world(request: pytest.FixtureRequest, cable: Cable) -> Iterator[World]:
    if cable.client.run(request.param, "-t", "nat", "-S").returncode != 0:
        assert request.param == "iptables-legacy", "no iptables works in a namespace of this kernel"
        pytest.skip("this kernel has no tables for iptables-legacy; iptables-nft is tested")
    made = World(cable, request.param)
    for family in ("iptables", "ip6tables"):
        theirs = THEIRS if family == "iptables" else THEIRS.replace("203.0.113.0/24", "2001:db8:9::/48")
        command = cable.client.command(f"{request.param.replace('iptables', family, 1)}-restore")
        subprocess.run(command, input=theirs, text=True, check=True, timeout=20)
    yield made
    assert made.capture("down").returncode == 0
    assert made.ours() == []


def test_a_connection_arrives_with_the_address_it_was_meant_for(world: World) -> None:
    assert world.dial(PROVIDER) == f"direct {PROVIDER} 443"
    world.up()
    assert world.dial(PROVIDER) == f"captured {PROVIDER} 443"
    assert world.dial(PROVIDER6) == f"captured {PROVIDER6} 443"
    assert world.dial(ELSEWHERE, uid=0) == f"captured {ELSEWHERE} 443"


def test_who_and_what_is_left_alone(world: World) -> None:
    world.up("--exclude-cidrs", f"{ELSEWHERE}/32,{ELSEWHERE6}")
    assert world.dial(PROVIDER, uid=ENVOY_UID) == f"direct {PROVIDER} 443"
    assert world.dial(PROVIDER6, uid=ENVOY_UID) == f"direct {PROVIDER6} 443"
    assert world.dial(ELSEWHERE) == f"direct {ELSEWHERE} 443"
    assert world.dial(ELSEWHERE6) == f"direct {ELSEWHERE6} 443"
    assert world.dial(PROVIDER, 80) == f"direct {PROVIDER} 80"
    assert world.dial("127.0.0.1") == "local 127.0.0.1 443"
    assert world.dial("::1") == "local ::1 443"
    assert world.dial(CLIENT) == f"local {CLIENT} 443"


def test_a_group_can_be_excluded_instead(world: World) -> None:
    world.up("--exclude-uids", "", "--exclude-gids", "1338")
    assert world.dial(PROVIDER, uid=0, gid=1338) == f"direct {PROVIDER} 443"
    assert world.dial(PROVIDER, uid=ENVOY_UID) == f"captured {PROVIDER} 443"


def test_all_ports_but_some(world: World) -> None:
    """A range reaches the listener's own port, and the ports that answers go to: neither must be refused."""
    world.up("--ports", "1:65535", "--exclude-ports", "8443")
    with world.cable.provider.entered(), socket.create_connection((CLIENT, 443), 5) as visitor:
        assert visitor.recv(100) == f"local {CLIENT} 443\n".encode()
    assert world.dial(PROVIDER, 80) == f"captured {PROVIDER} 80"
    assert world.dial(PROVIDER6, 80) == f"captured {PROVIDER6} 80"
    assert world.dial(PROVIDER, 8443) == f"direct {PROVIDER} 8443"
    assert world.dial(PROVIDER, 53) == f"direct {PROVIDER} 53"


def test_up_again_leaves_one_set_with_the_new_options(world: World) -> None:
    before = world.save()
    world.up()
    once = world.ours()
    world.up()
    assert world.ours() == once
    world.up("--listener", "15009", "--ports", "80,8443", "--quic", "allow", "--earlier", "keep")
    assert len([line for line in world.ours() if line == "-A OUTPUT -j DOUANE_OUTPUT"]) == 4  # two tables, two families
    assert world.dial(PROVIDER, 80) == f"captured-elsewhere {PROVIDER} 80"
    assert world.dial(PROVIDER) == f"direct {PROVIDER} 443"
    assert world.capture("down").returncode == 0
    assert world.save() == before
    assert world.capture("down").returncode == 0
    assert world.dial(PROVIDER) == f"direct {PROVIDER} 443"


def test_the_chain_is_reached_before_the_rules_of_others(world: World) -> None:
    world.up()
    outputs = [line for line in world.save() if line.startswith("-A OUTPUT")]
    assert len(outputs) == 8
    assert set(outputs[::2]) == {"-A OUTPUT -j DOUANE_OUTPUT"}


@pytest.mark.parametrize("action", ["reject", "drop"])
@pytest.mark.parametrize("address", [PROVIDER, PROVIDER6])
def test_quic_does_not_pass(world: World, action: str, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with world.cable.provider.entered():
        server = socket.socket(family, socket.SOCK_DGRAM)
    with server:
        server.settimeout(0.3)
        server.bind((address, 443))
        assert _says(world, family, address) == b"h3?"
        _received(server)
        world.up("--quic", action)
        assert _says(world, family, address) in (b"refused", b"")
        assert _received(server) == b""


def _says(world: World, family: int, address: str) -> bytes:
    """Send one datagram and return what came of it."""
    with world.cable.client.entered():
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client:
        client.settimeout(0.3)
        try:
            client.connect((address, 443))
            client.send(b"h3?")
            client.send(b"h3?")  # an ICMP answer to the first is an error of the second
        except OSError:
            return b"refused"
    return b"h3?"


def _received(server: socket.socket) -> bytes:
    data = b""
    with suppress(TimeoutError):
        while True:
            data += server.recv(100)
    return data


@pytest.mark.parametrize("tracked", [True, False])
def test_connections_older_than_the_rules_are_reset(world: World, tracked: bool) -> None:
    """Whether the kernel tracked connections before (some rule needed it) or begins to with these rules."""
    if tracked:
        done = world.cable.client.run(world.iptables, *_TRACKING)
        assert done.returncode == 0
    with world.cable.client.entered():
        old = socket.create_connection((PROVIDER, 443), 5)
        other = socket.create_connection((PROVIDER, 8443), 5)
    with old, other:
        assert old.recv(100) == f"direct {PROVIDER} 443\n".encode()
        other.recv(100)
        world.up("--earlier", "keep")
        old.sendall(b"still")
        assert old.recv(100) == b"still"
        world.up()
        with suppress(PermissionError):  # the packet that is refused
            old.sendall(b"a prompt")
        with pytest.raises(ConnectionResetError):
            old.recv(100)
        other.sendall(b"untouched")
        assert other.recv(100) == b"untouched"


def test_no_connection_escapes_while_the_rules_are_replaced(world: World) -> None:
    """One may be refused: the port of a connection that the test above had reset, which the kernel remembers as a direct one."""
    world.up()
    answers: list[str] = []
    over = threading.Event()

    def dial(address: str) -> None:
        with world.cable.client.entered():
            while not over.is_set():
                try:
                    with socket.create_connection((address, 443), 10) as client:
                        answers.append(client.recv(100).split()[0].decode())
                except ConnectionRefusedError:
                    answers.append("refused")

    threads = [threading.Thread(target=dial, args=(address,)) for address in (PROVIDER, PROVIDER6)]
    for thread in threads:
        thread.start()
    for turn in range(8):
        world.up("--exclude-cidrs", f"203.0.113.{turn}")
    over.set()
    for thread in threads:
        thread.join(15)
    assert answers.count("captured") > 100
    assert answers.count("refused") <= 4
    assert set(answers) <= {"captured", "refused"}


def test_two_at_once_leave_one_set(world: World) -> None:
    command = world.cable.client.command("env", f"IPTABLES={world.iptables}", str(SCRIPT), "up")
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    world.up()
    assert len([line for line in world.ours() if line == "-A OUTPUT -j DOUANE_OUTPUT"]) == 4


def test_rules_of_the_other_kind_are_replaced_too(cable: Cable, world: World) -> None:
    other = {"iptables-nft": "iptables-legacy", "iptables-legacy": "iptables-nft"}[world.iptables]
    if cable.client.run(other, "-t", "nat", "-S").returncode != 0:
        pytest.skip(f"this kernel has no tables for {other}")
    world.up()
    World(cable, other).up()
    assert world.ours() == []
    assert world.dial(PROVIDER) == f"captured {PROVIDER} 443"
    assert world.capture("down").returncode == 0
    assert World(cable, other).ours() == []


def test_status_tells_three_states(world: World) -> None:
    assert world.capture("status").returncode == 3
    world.up()
    done = world.capture("status")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "captured")
    world.cable.client.run(world.iptables, "-t", "nat", "-D", "OUTPUT", "-j", "DOUANE_OUTPUT")
    done = world.capture("status")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "captured in part: 3 of 4 tables")


def test_the_environment_mirrors_the_options(world: World) -> None:
    environment = {
        "DOUANE_CAPTURE_LISTENER": "15009",
        "DOUANE_CAPTURE_PORTS": "80",
        "DOUANE_CAPTURE_EXCLUDE_UIDS": "7,9-11",
        "DOUANE_CAPTURE_EXCLUDE_GIDS": "8",
        "DOUANE_CAPTURE_EXCLUDE_CIDRS": "10.0.0.0/8 fd00::/8",
        "DOUANE_CAPTURE_EXCLUDE_PORTS": "81:82",
        "DOUANE_CAPTURE_QUIC": "drop",
        "DOUANE_CAPTURE_QUIC_PORTS": "444",
        "DOUANE_CAPTURE_EARLIER": "keep",
        "DOUANE_CAPTURE_IPV6": "require",
    }
    assert world.capture("up", **environment).returncode == 0
    by_environment = world.ours()
    options = [f"--{name[15:].lower().replace('_', '-')}={value}" for name, value in environment.items()]
    world.up(*options)
    assert world.ours() == by_environment
    assert any("--dport 444" in line and "DROP" in line for line in by_environment)


def test_a_dry_run_prints_what_it_would_do(world: World) -> None:
    before = world.save()
    printed = world.capture("up", "--dry-run")
    assert world.save() == before
    done = subprocess.run(
        world.cable.client.command("sh", "-e"), input=printed.stdout, text=True, check=False, timeout=20
    )
    assert done.returncode == 0
    by_hand = world.ours()
    world.up()
    assert world.ours() == by_hand


def test_without_ipv6(world: World, tmp_path: Path) -> None:
    """An ip6tables that does not work where IPv6 addresses are is an error; said to be off, it is a warning."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("iptables", "iptables-restore"):
        (folder / name).symlink_to(shutil.which(name.replace("iptables", world.iptables, 1)) or "")
    done = world.cable.client.run(str(SCRIPT), "up", environment={"IPTABLES": str(folder / "iptables")})
    assert done.returncode == 1
    assert "calls over it would pass by" in done.stderr
    assert world.ours() == []
    done = world.capture("up", "--ipv6", "off")
    assert (done.returncode, "warning: IPv6 is left alone" in done.stderr) == (0, True)
    assert world.dial(PROVIDER6) == f"direct {PROVIDER6} 443"


def test_a_machine_without_ipv6_goes_on_unless_it_is_required(tmp_path: Path) -> None:
    """A namespace of its own whose IPv6 is switched off, and no ip6tables beside iptables."""
    (tmp_path / "iptables").symlink_to(shutil.which("iptables") or "")
    (tmp_path / "iptables-restore").symlink_to(shutil.which("iptables-restore") or "")
    with joined() as cable:
        cable.client.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        done = cable.client.run(str(SCRIPT), "up", environment={"IPTABLES": str(tmp_path / "iptables")})
        assert (done.returncode, done.stderr) == (0, "capture: no IPv6 here: IPv4 alone is captured\n")
        assert (
            cable.client.run(str(SCRIPT), "status", environment={"IPTABLES": str(tmp_path / "iptables")}).returncode
            == 0
        )
        done = cable.client.run(
            str(SCRIPT), "up", "--require-ipv6", environment={"IPTABLES": str(tmp_path / "iptables")}
        )
        assert (done.returncode, "IPv6 cannot be captured" in done.stderr) == (1, True)


def test_it_says_what_it_lacks(world: World) -> None:
    done = world.cable.client.run(str(SCRIPT), "up", uid=APP_UID, reads_all=True)
    assert (done.returncode, "CAP_NET_ADMIN" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("up", "--ports", "0"), "0 is not a port"),
        (("up", "--ports", "https"), "https is not a port"),
        (("up", "--ports", "9:8"), "ends before it begins"),
        (("up", "--ports", ""), "at least one"),
        (("up", "--exclude-uids", "root"), "root is not a number"),
        (("up", "--exclude-uids", ""), "nobody is excluded"),
        (("up", "--exclude-cidrs", "example.com"), "example.com is not an address"),
        (("up", "--exclude-cidrs", "10.0.0.0/8 -j ACCEPT"), "-j is not an address"),
        (("up", "--quic", "maybe"), "maybe is not one of reject drop allow"),
        (("up", "--listener"), "needs a value"),
        (("up", "--what", "x"), "unknown option --what"),
        (("sideways",), "unknown command sideways"),
        (("up", "down"), "one command at a time"),
        ((), "say up, down or status"),
    ],
)
def test_bad_options_are_named(options: tuple[str, ...], words: str) -> None:
    done = subprocess.run([str(SCRIPT), *options], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert words in done.stderr


def test_help_shows_examples_and_every_variable() -> None:
    done = subprocess.run([str(SCRIPT), "--help"], capture_output=True, text=True, check=True, timeout=20)
    assert "capture.sh up --ports 443,80" in done.stdout
    read = set(re.findall(r"\$\{(DOUANE_CAPTURE_\w+?)[:-]", SCRIPT.read_text()))
    assert read == set(re.findall(r"DOUANE_CAPTURE_\w+", done.stdout))


def test_it_is_portable_shell() -> None:
    checked = subprocess.run(["shellcheck", "-s", "sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert checked.stdout == ""


def test_what_a_killed_run_left_is_removed() -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = f"douane-test-{dead.pid}-1-client"
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
    lost = subprocess.Popen(["ip", "netns", "exec", name, "sleep", "60"])
    time.sleep(0.3)  # until it is inside
    with joined() as alive:
        remove_abandoned()
        assert lost.wait(5) == -signal.SIGKILL
        left = {path.name for path in Path("/run/netns").iterdir()}
        assert name not in left
        assert alive.client.name in left
    assert not Path("/run/netns", alive.client.name).exists()
