"""`douane ca`, `douane env` and `douane run`, as a user types them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from sidecar.certs.authority import AuthorityError, open_authority, utc_now
from sidecar.certs.roots import system_roots
from sidecar.certs.signing import AUTHORITY_LIFE
from sidecar.cli import main


class Once:
    """A clock that is read at another time, and is right from then on."""

    def __init__(self, first: datetime) -> None:
        self.first: datetime | None = first

    def __call__(self) -> datetime:
        first, self.first = self.first, None
        return first or utc_now()


def douane(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    clean = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY") and not k.startswith("DOUANE_")}
    command = [sys.executable, "-m", "sidecar", arguments[0], *arguments[1:]]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
        env={**clean, "DOUANE_DATA": f"{folder}/d", **environment},
    )


def test_show_makes_the_authority_and_tells_how_to_trust_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ca", "show", "--data", str(tmp_path / "d")]) == 0
    told = capsys.readouterr().out
    assert "SHA-256" in told
    assert "api.openai.com" in told
    assert "update-ca-certificates" in told
    assert "NOT COVERED" not in told


def test_hosts_that_came_later_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_authority(tmp_path / "d" / "ca", ("api.openai.com",))
    assert main(["ca", "show", "--data", str(tmp_path / "d")]) == 0
    assert "NOT COVERED  api.anthropic.com" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["pem", "der"])
def test_export_writes_the_certificate_and_no_key(tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    assert main(["ca", "export", "--data", str(tmp_path / "d"), "--format", form, "--out", str(out)]) == 0
    load = x509.load_pem_x509_certificate if form == "pem" else x509.load_der_x509_certificate
    assert load(out.read_bytes()).subject.rfc4514_string().endswith("O=Douane")
    assert b"PRIVATE" not in out.read_bytes()
    assert douane(tmp_path, "ca", "export").stdout.startswith(b"-----BEGIN CERTIFICATE-----")


def test_rotate_makes_a_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = open_authority(tmp_path / "d" / "ca", ("api.openai.com",))
    assert main(["ca", "rotate", "--data", str(tmp_path / "d")]) == 0
    assert "Clients that trust the old one go on" in capsys.readouterr().out
    assert open_authority(tmp_path / "d" / "ca", ()).certificate != first.certificate


def test_rotate_tells_who_is_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_authority(tmp_path / "d" / "ca", ("api.openai.com",))
    told = []
    for _ in range(4):
        assert main(["ca", "rotate", "--data", str(tmp_path / "d")]) == 0
        told.append(capsys.readouterr().out.count("NOT ANY MORE"))
    assert told == [0, 0, 0, 1]


def test_an_authority_that_has_ended_can_be_rotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the remedy that every other command names."""
    long_ago = utc_now() - AUTHORITY_LIFE - timedelta(days=1)
    with pytest.raises(AuthorityError, match="has ended"):
        open_authority(tmp_path / "d" / "ca", ("api.openai.com",), Once(long_ago))
    assert main(["ca", "show", "--data", str(tmp_path / "d")]) == 2
    assert "`douane ca rotate`" in capsys.readouterr().err
    assert main(["ca", "rotate", "--data", str(tmp_path / "d")]) == 0
    assert "The old one had ended" in capsys.readouterr().out
    assert main(["ca", "show", "--data", str(tmp_path / "d")]) == 0
    assert "ENDS SOON" not in capsys.readouterr().out


def test_an_authority_that_ends_soon_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = utc_now() - AUTHORITY_LIFE + timedelta(days=30)
    open_authority(tmp_path / "d" / "ca", ("api.openai.com",), lambda: made)
    assert main(["ca", "show", "--data", str(tmp_path / "d")]) == 0
    assert "ENDS SOON" in capsys.readouterr().out


def test_the_environment_can_be_evaluated(tmp_path: Path) -> None:
    printed = douane(tmp_path, "env", "--proxy-port", "4000", NO_PROXY="corp.example").stdout
    script = printed + b'\nprintf \'%s|%s|%s\' "$HTTPS_PROXY" "$NO_PROXY" "$SSL_CERT_FILE"\n'
    told = subprocess.run(["sh"], input=script, capture_output=True, check=True, timeout=10).stdout.decode()
    assert told == f"http://127.0.0.1:4000|corp.example,localhost,127.0.0.1,::1|{tmp_path}/d/ca/bundle.pem"
    assert json.loads(douane(tmp_path, "env", "--shell", "json").stdout)["HTTPS_PROXY"] == "http://127.0.0.1:3128"


def test_an_environment_in_an_environment_is_the_same(tmp_path: Path) -> None:
    """The bundle must not become its own roots, nor a Douane in it trust its own authority when it verifies providers."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "corp.pem"))
    first = json.loads(douane(tmp_path, "env", "--shell", "json", NODE_EXTRA_CA_CERTS=f"{tmp_path}/corp.pem").stdout)
    size = Path(first["SSL_CERT_FILE"]).stat().st_size
    assert (tmp_path / "corp.pem").read_text().strip() in Path(first["SSL_CERT_FILE"]).read_text()
    second = json.loads(douane(tmp_path, "env", "--shell", "json", **first).stdout)
    assert (second, Path(second["SSL_CERT_FILE"]).stat().st_size) == (first, size)
    configuration = douane(tmp_path, "envoy-config", **first).stdout.decode()
    assert system_roots(os.environ) in configuration
    assert "bundle" not in configuration


def test_the_proxy_is_named_as_it_is_reached(tmp_path: Path) -> None:
    for bind, url in (
        ("0.0.0.0", "http://127.0.0.1:3128"),
        ("::", "http://[::1]:3128"),
        ("10.0.0.5", "http://10.0.0.5:3128"),
    ):
        found = json.loads(
            douane(tmp_path, "env", "--shell", "json", DOUANE_PROXY_BIND=bind, DOUANE_BIND="10.0.0.6").stdout
        )
        assert (found["HTTPS_PROXY"], found["NO_PROXY"]) == (url, "localhost,127.0.0.1,::1,10.0.0.6")


def test_a_program_runs_inside_it_and_its_status_is_ours(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['HTTPS_PROXY'], sys.argv[1:]); sys.exit(7)"
    done = douane(tmp_path, "run", "--no-check", "--", sys.executable, "-c", program, "--flag", "a b")
    assert (done.returncode, done.stdout.decode().strip()) == (7, "http://127.0.0.1:3128 ['--flag', 'a b']")


def test_its_signals_are_the_program_s(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sidecar", "run", "--no-check", "--data", str(tmp_path / "d"), "--", "sleep", "60"]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        deadline = time.monotonic() + 20
        while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:10]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_what_cannot_run_is_told(tmp_path: Path) -> None:
    missing = douane(tmp_path, "run", "--no-check", "--", "no-such-program")
    assert (missing.returncode, missing.stderr) == (127, b"douane: no-such-program: command not found\n")
    (tmp_path / "plain").write_text("x")
    assert douane(tmp_path, "run", "--no-check", "--", "./plain").returncode == 126
    none = douane(tmp_path, "run")
    assert (none.returncode, b"which program?" in none.stderr) == (2, True)


def test_a_proxy_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = douane(tmp_path, "run", "--proxy-port", port, "--", "true")
    assert (done.returncode, b"douane up" in done.stderr) == (69, True)
    off = douane(tmp_path, "env", "--proxy-port", "0")
    assert (off.returncode, b"DOUANE_PROXY_PORT is 0" in off.stderr) == (2, True)
