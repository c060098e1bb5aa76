"""The variables, and how shells read them."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.certs.bundle import Bundle
from sidecar.certs.roots import heading
from sidecar.environment import SHELLS, Trust, named_files, variables, written

FILES = Bundle(Path("/d/bundle.pem"), Path("/d/added.pem"), Path("/d/my store.p12"))
TRUST = Trust("127.0.0.1", 3128, FILES)
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
    assert (found["NODE_EXTRA_CA_CERTS"], found["NODE_USE_ENV_PROXY"]) == ("/d/added.pem", "1")


def test_what_a_user_has_set_is_kept() -> None:
    found = variables(TRUST, {"NO_PROXY": "corp.example, localhost", "JAVA_TOOL_OPTIONS": "-Xmx1g -Dhttps.proxyPort=1"})
    assert found["NO_PROXY"] == found["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"
    assert found["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g '-Djavax.net.ssl.trustStore=/d/my store.p12' ")
    assert found["JAVA_TOOL_OPTIONS"].count("https.proxyPort") == 1
    assert variables(TRUST, found) == found  # a shell in a shell: nothing is added twice, nothing taken apart


def test_files_of_certificates_that_a_user_has_named_are_found(tmp_path: Path) -> None:
    ours, corp = tmp_path / "bundle.pem", tmp_path / "corp.pem"
    ours.write_bytes(heading((Path("/roots.pem"), corp)))
    known = {
        "SSL_CERT_FILE": str(ours),
        "NODE_EXTRA_CA_CERTS": str(corp),
        "AWS_CA_BUNDLE": "",
        "GIT_SSL_CAINFO": "/git.pem",
    }
    assert named_files(known) == (Path("/roots.pem"), corp, Path("/git.pem"))
    assert named_files({}) == ()


def test_a_proxy_on_an_ipv6_address_stands_in_brackets() -> None:
    found = variables(replace(TRUST, host="::1"), {})
    assert found["HTTPS_PROXY"] == "http://[::1]:3128"
    assert "-Dhttps.proxyHost=::1" in found["JAVA_TOOL_OPTIONS"]


_SELECT = """
import java.net.*;
public class Select {
    public static void main(String[] arguments) throws Exception {
        for (String url : arguments) System.out.println(ProxySelector.getDefault().select(new URI(url)).get(0).type());
        System.out.println(System.getProperty("javax.net.ssl.trustStore") + " " + System.getProperty("mine"));
    }
}
"""


@pytest.mark.server
def test_java_reads_the_options_and_goes_round_the_same_hosts(tmp_path: Path) -> None:
    (tmp_path / "Select.java").write_text(_SELECT)
    store = replace(FILES, truststore=Path('/d/it\'s "my" store.p12'))
    known = {"NO_PROXY": "corp.example,.dot.example,10.0.0.0/8,host.example:8080", "JAVA_TOOL_OPTIONS": "-Dmine='a  b'"}
    found = variables(Trust("127.0.0.1", 3128, store), known)
    found = variables(Trust("127.0.0.1", 3128, store), found)
    direct = ("https://localhost/", "https://[::1]/", "https://127.0.0.1/", "https://corp.example/", "https://a.corp.example/",
              "https://a.dot.example/", "http://host.example:8080/")  # fmt: skip
    through = ("https://api.openai.com/", "http://notcorp.example/")
    done = subprocess.run(
        ["java", str(tmp_path / "Select.java"), *direct, *through],
        env={"PATH": os.environ["PATH"], "JAVA_TOOL_OPTIONS": found["JAVA_TOOL_OPTIONS"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *types, told = done.stdout.splitlines()
    assert types == ["DIRECT"] * len(direct) + ["HTTP"] * len(through)
    assert told == '/d/it\'s "my" store.p12 a  b'


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
