"""The environment in which programs of any language go through Douane unchanged: the proxy, and whom to trust.

In: Settings, the environment as it is. Out: names and values; their text for a shell.
Every variable is the one its programs document: curl and most (HTTPS_PROXY, in both spellings), OpenSSL, Python and Go on Linux
(SSL_CERT_FILE), requests (REQUESTS_CA_BUNDLE), curl (CURL_CA_BUNDLE), Node (NODE_EXTRA_CA_CERTS; NODE_USE_ENV_PROXY from 24 on),
AWS's SDKs (AWS_CA_BUNDLE), gRPC (GRPC_DEFAULT_SSL_ROOTS_FILE_PATH), Deno (DENO_CERT), pip, git, cargo, Java (JAVA_TOOL_OPTIONS).
What a user has set is kept: NO_PROXY and JAVA_TOOL_OPTIONS are added to.
Source: each tool's documentation, read 2026-11.
"""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.certs.bundle import STORE_PASSWORD

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
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Trust:
    """Where the proxy is, and the files of whom to trust. direct are hosts that go without the proxy."""

    host: str
    port: int
    ca: Path
    bundle: Path
    truststore: Path
    direct: tuple[str, ...] = _LOCAL


def variables(trust: Trust, known: Mapping[str, str]) -> dict[str, str]:
    """Return what to set, by name, in a stable order; known is the environment as it is."""
    proxy = f"http://{trust.host}:{trust.port}"
    had = [item.strip() for name in _DIRECT for item in known.get(name, "").split(",") if item.strip()]
    direct = ",".join(dict.fromkeys((*had, *trust.direct)))
    return {
        **dict.fromkeys(_PROXY, proxy),
        **dict.fromkeys(_DIRECT, direct),
        **dict.fromkeys(_BUNDLE, str(trust.bundle)),
        **dict.fromkeys(_OURS, str(trust.ca)),
        "NODE_USE_ENV_PROXY": "1",
        "JAVA_TOOL_OPTIONS": _java(trust, direct, known.get("JAVA_TOOL_OPTIONS", "")),
    }


def _java(trust: Trust, direct: str, had: str) -> str:
    """Return the JVM's options. A path with a blank stands in quotes, which the JVM reads."""
    options = {
        "javax.net.ssl.trustStore": str(trust.truststore),
        "javax.net.ssl.trustStoreType": "PKCS12",
        "javax.net.ssl.trustStorePassword": STORE_PASSWORD,
        "https.proxyHost": trust.host,
        "https.proxyPort": str(trust.port),
        "http.proxyHost": trust.host,
        "http.proxyPort": str(trust.port),
        "http.nonProxyHosts": direct.replace(",", "|"),
    }
    kept = [option for option in had.split() if option.partition("=")[0].removeprefix("-D") not in options]
    ours = (
        f'-D{name}="{value}"' if " " in value or "|" in value else f"-D{name}={value}"
        for name, value in options.items()
    )
    return " ".join((*kept, *ours))


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
