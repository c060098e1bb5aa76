"""The variables, and how shells read them."""

import json
import subprocess
from pathlib import Path

import pytest

from sidecar.environment import SHELLS, Trust, variables, written

TRUST = Trust("127.0.0.1", 3128, Path("/d/ca.pem"), Path("/d/bundle.pem"), Path("/d/my store.p12"))
NASTY = 'a\'b "c" $(touch /tmp/never) `x` \\ ;&|\n'


def test_every_kind_of_program_finds_the_proxy_and_whom_to_trust() -> None:
    found = variables(TRUST, {})
    assert {found[name] for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")} == {
        "http://127.0.0.1:3128"
    }
    for name in (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    ):
        assert found[name] == "/d/bundle.pem"
    assert (found["NODE_EXTRA_CA_CERTS"], found["NODE_USE_ENV_PROXY"]) == ("/d/ca.pem", "1")


def test_what_a_user_has_set_is_kept() -> None:
    found = variables(TRUST, {"NO_PROXY": "corp.example, localhost", "JAVA_TOOL_OPTIONS": "-Xmx1g -Dhttps.proxyPort=1"})
    assert found["NO_PROXY"] == found["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"
    assert found["JAVA_TOOL_OPTIONS"].startswith('-Xmx1g -Djavax.net.ssl.trustStore="/d/my store.p12"')
    assert found["JAVA_TOOL_OPTIONS"].count("https.proxyPort") == 1
    assert variables(TRUST, found)["NO_PROXY"] == found["NO_PROXY"]


def test_a_posix_shell_runs_nothing_of_a_value() -> None:
    script = written({"X": NASTY}, "sh") + '\nprintf %s "$X"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10).stdout == NASTY


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("fish", "set -gx X 'it\\'s \\\\ $(no)';"),
        ("powershell", "$env:X = 'it''s \\ $(no)'"),
        ("dotenv", 'X="it\'s \\\\ \\$(no)"'),
    ],
)
def test_other_shells_are_quoted_as_they_read(shell: str, text: str) -> None:
    assert written({"X": "it's \\ $(no)"}, shell) == text


def test_every_shell_is_written() -> None:
    assert all(written({"X": "1"}, shell) for shell in SHELLS)
    assert json.loads(written({"X": NASTY}, "json")) == {"X": NASTY}
