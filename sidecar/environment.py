"""The environment in which programs of any language go through Douane unchanged: the proxy, and whom to trust.

In: Settings, the environment as it is. Out: names and values; their text for a shell.
Every variable is the one its programs document: curl and most (HTTPS_PROXY, in both spellings), OpenSSL, Python and Go on Linux
(SSL_CERT_FILE), requests (REQUESTS_CA_BUNDLE), curl (CURL_CA_BUNDLE), Node (NODE_EXTRA_CA_CERTS; NODE_USE_ENV_PROXY from 24 on),
AWS's SDKs (AWS_CA_BUNDLE), gRPC (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH), Deno (DENO_CERT), pip, git, cargo, Java (JAVA_TOOL_OPTIONS).
What a user has set is kept: NO_PROXY and JAVA_TOOL_OPTIONS are added to, and certificates that variables named are in the bundle.
Source: each tool's documentation, read 2026-11; Java: "Networking Properties" (http.nonProxyHosts) and "The JAVA_TOOL_OPTIONS
Environment Variable" (options apart by blanks, quotes of both kinds, no escapes).
"""

import contextlib
import ipaddress
import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.certs.bundle import STORE_PASSWORD, Bundle
from sidecar.certs.roots import made_of

_PROXY = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
_DIRECT = ("NO_PROXY", "no_proxy")
_BUNDLE = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "DENO_CERT",
)
_OURS = ("NODE_EXTRA_CA_CERTS",)  # added to Node's own roots
LOCAL = ("localhost", "127.0.0.1", "::1")
_JAVA_OPTION = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")


@dataclass(frozen=True, slots=True)
class Trust:
    """Where the proxy is, and the files of whom to trust. direct are hosts that go without the proxy."""

    host: str
    port: int
    files: Bundle
    direct: tuple[str, ...] = LOCAL


def named_files(known: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files of certificates that an environment names, and for files of ours what they were made of."""
    named = (Path(known[name]) for name in (*_BUNDLE, *_OURS) if known.get(name))
    return tuple(dict.fromkeys(source.absolute() for path in named for source in made_of(path)))


def variables(trust: Trust, known: Mapping[str, str]) -> dict[str, str]:
    """Return what to set, by name, in a stable order; known is the environment as it is."""
    proxy = f"http://{_bracketed(trust.host)}:{trust.port}"
    had = [item.strip() for name in _DIRECT for item in known.get(name, "").split(",") if item.strip()]
    direct = ",".join(dict.fromkeys((*had, *trust.direct)))
    return {
        **dict.fromkeys(_PROXY, proxy),
        **dict.fromkeys(_DIRECT, direct),
        **dict.fromkeys(_BUNDLE, str(trust.files.everything)),
        **dict.fromkeys(_OURS, str(trust.files.added)),
        "NODE_USE_ENV_PROXY": "1",
        "JAVA_TOOL_OPTIONS": _java(trust, direct.split(","), known.get("JAVA_TOOL_OPTIONS", "")),
    }


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _java(trust: Trust, direct: list[str], had: str) -> str:
    """Return the JVM's options: the user's, but for those that are ours."""
    options = {
        "javax.net.ssl.trustStore": str(trust.files.truststore),
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": STORE_PASSWORD,
        "https.proxyHost": trust.host,
        "https.proxyPort": str(trust.port),
        "http.proxyHost": trust.host,
        "http.proxyPort": str(trust.port),
        "http.nonProxyHosts": "|".join(dict.fromkeys(pattern for host in direct for pattern in _java_hosts(host))),
    }
    kept = [option for option in _JAVA_OPTION.findall(had) if _property(option) not in options]
    return " ".join((*kept, *(_java_option(f"-D{name}={value}") for name, value in options.items())))


def _property(option: str) -> str:
    return option.replace('"', "").replace("'", "").partition("=")[0].removeprefix("-D")


def _java_option(option: str) -> str:
    """Quote an option where the JVM would take it apart; what holds both kinds of quotes goes piece by piece."""
    if not re.search(r"[\s|\"']", option):
        return option
    return '"\'"'.join(f"'{piece}'" for piece in option.split("'"))


def _java_hosts(host: str) -> tuple[str, ...]:
    """Return what NO_PROXY's host is for Java: with its subdomains, an IPv6 address in brackets; it knows no ports, no networks."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host.strip("[]"))
        return (_bracketed(str(address)),)
    if "/" in host:
        return ()
    bare = host.partition(":")[0].removeprefix("*").removeprefix(".")
    return (bare, f"*.{bare}") if bare else ("*",)


def _sh(name: str, value: str) -> str:
    return f"export {name}={shlex.quote(value)}"


def _fish(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"set -gx {name} '{escaped}';"


def _powershell(name: str, value: str) -> str:
    escaped = value.replace("'", "''")
    return f"$env:{name} = '{escaped}'"


def _dotenv(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'{name}="{escaped}"'


_SHELLS: dict[str, Callable[[str, str], str]] = {
    "sh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
}
SHELLS = (*_SHELLS, "json")


def written(values: Mapping[str, str], shell: str) -> str:
    """Return the text that sets the variables in a shell; nothing in a value is ever run."""
    if shell == "json":
        return json.dumps(values, indent=1)
    return "\n".join(_SHELLS[shell](name, value) for name, value in values.items())
