"""The doors, as the environment a client is started with: base URLs, or a proxy and whom to trust.

The variables are those that the libraries read by themselves; programs are the same at every door.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

from tests.support.installation import Installation
from tests.support.llm_host import LlmHost

DOORS = ("direct", "gateway", "proxy")
_STORE_PASSWORD = "changeit"  # Java's own habit; a trust store holds no secret
_MOVED = ("openai", "anthropic", "gemini", "mistral", "cohere", "azure", "bedrock", "openrouter")
# Where SDKs look for their base URL, and which part of the path is theirs.
_SDK_VARIABLES = {
    "OPENAI_BASE_URL": ("openai", "/"),
    "OPENROUTER_BASE_URL": ("openrouter", "/"),
    "AZURE_OPENAI_ENDPOINT": ("azure", ""),
    "ANTHROPIC_BASE_URL": ("anthropic", ""),
    "GOOGLE_GEMINI_BASE_URL": ("gemini", ""),
    "MISTRAL_SERVER_URL": ("mistral", ""),
    "CO_API_URL": ("cohere", ""),
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": ("bedrock", ""),
    "OLLAMA_HOST": ("ollama", ""),
}
_REAL = {
    "openai": "https://api.openai.com/v1/",
    "openrouter": "https://openrouter.ai/api/v1/",
    "azure": "https://corp.openai.azure.com/",
    "anthropic": "https://api.anthropic.com/",
    "gemini": "https://generativelanguage.googleapis.com/",
    "mistral": "https://api.mistral.ai/",
    "cohere": "https://api.cohere.com/",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com/",
    "ollama": "http://ollama.example.com:11434/",
}


@dataclass(frozen=True, slots=True)
class Door:
    """How clients reach providers: bases of their URLs by provider, and the variables that lead them there."""

    name: str
    bases: Mapping[str, str]
    variables: Mapping[str, str]


def upstreams(host: LlmHost) -> str:
    """Return DOUANE_UPSTREAMS that moves every provider to the local one."""
    return ",".join([*(f"{name}={host.url}" for name in _MOVED), f"ollama={host.plain_url}"])


def direct(host: LlmHost, folder: Path) -> Door:
    """No Douane: what works here and not elsewhere is Douane's fault."""
    bases = dict.fromkeys(_REAL, f"{host.url}/")
    bases |= {"openai": f"{host.url}/v1/", "openrouter": f"{host.url}/api/v1/", "ollama": f"{host.plain_url}/"}
    return Door("direct", bases, {**_sdk_bases(bases), **trust(host.authority, folder)})


def gateway(douane: Installation) -> Door:
    """Base URLs that name Douane; plain HTTP on loopback."""
    bases = {name: f"{douane.gateway}/{name}/" for name in _REAL}
    bases |= {"openai": f"{douane.gateway}/v1/", "openrouter": f"{douane.gateway}/openrouter/v1/"}
    return Door("gateway", bases, _sdk_bases(bases))


def proxy(douane: Installation) -> Door:
    """The providers' own names, and the environment that `douane env` prints; nothing else but where Ollama is."""
    options = ["--shell=json", f"--data={douane.data}", f"--proxy-port={douane.ports['proxy-port']}"]
    command = [sys.executable, "-m", "sidecar", "env", *options]
    done = subprocess.run(command, cwd=douane.data, capture_output=True, check=True, timeout=60)
    return Door("proxy", _REAL, {**json.loads(done.stdout), "OLLAMA_HOST": _REAL["ollama"]})


def trust(certificate: Path, folder: Path) -> dict[str, str]:
    """Return the variables that make each library trust an authority; Java's trust store is written into folder."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AWS_CA_BUNDLE")
    store = folder / f"{certificate.stem}.p12"
    found = [PKCS12Certificate(one, None) for one in x509.load_pem_x509_certificates(certificate.read_bytes())]
    store.write_bytes(serialize_java_truststore(found, BestAvailableEncryption(_STORE_PASSWORD.encode())))
    java = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD}"
    return {**dict.fromkeys(names, str(certificate)), "JAVA_TOOL_OPTIONS": java}


def _sdk_bases(bases: Mapping[str, str]) -> dict[str, str]:
    return {variable: bases[name].rstrip("/") + end for variable, (name, end) in _SDK_VARIABLES.items()}
