"""The clients: how each is started, which formats it speaks, what it raises when Douane refuses.

In: a Door. Out: what a client saw. A client is a process of its own; nothing of the test is inside it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.doors import Door
from tests.clients.requests_made import CUT, FORMATS
from tests.support.calls import ATTACK

_HERE = Path(__file__).parent
_TIMEOUT_S = 90  # two busy cores; alone no client needs ten seconds
_PLAIN_HTTP = {known.name: "403" for known in FORMATS}
_OPENAI = "PermissionDeniedError"
# Not a client's business and misleading inside one: proxies and trust of this machine, keys and settings of the developer.
_LEFT_OUT = ("proxy", "cert", "ca_bundle", "api_key", "douane_", "base_url", "python", "aws_", "java_tool", "node_")


@dataclass(frozen=True, slots=True)
class Client:
    """command begins with a program that must be installed; needs is a file that must be there too.

    Shape: refusals are formats with what the client says to a refusal: a status, or the class of the exception; shut are pairs
    of door and format that the client cannot reach, with what it says then.
    """

    name: str
    command: tuple[str, ...]
    refusals: Mapping[str, str]
    needs: str = ""
    shut: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def plain_http(self) -> bool:
        """True when it calls what requests_made says, and tells statuses and bodies."""
        return self.refusals is _PLAIN_HTTP

    def missing(self) -> str:
        """Return what of it is not installed, empty for nothing."""
        if _which(self.command[0]) is None:
            return self.command[0]
        return self.needs if self.needs and not (_HERE / self.needs).exists() else ""


def _python(program: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, str(_HERE / "programs" / program), *arguments)


_OPENAI_FORMATS = (
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "openai_embeddings",
    "openrouter_chat",
    "azure_chat",
)
_NODE_OPENAI = "node/node_modules/openai/package.json"
# Node asks for a tunnel to plain HTTP hosts too; CONNECT leads to DOUANE_CONNECT_PORTS only, and what a tunnel carries in the clear
# would not be inspected.
_NODE_TUNNELS = {("proxy", "ollama_chat"): "TypeError", ("proxy", "ollama_generate"): "TypeError"}
CLIENTS: tuple[Client, ...] = (
    Client("curl HTTP/1.1", _python("with_curl.py", "--http1.1"), _PLAIN_HTTP),
    Client("curl HTTP/2", _python("with_curl.py", "--http2"), _PLAIN_HTTP),
    Client("Python requests", _python("with_requests.py"), _PLAIN_HTTP),
    Client("Python httpx", _python("with_httpx.py"), _PLAIN_HTTP),
    Client("Python aiohttp", _python("with_aiohttp.py"), _PLAIN_HTTP),
    Client("Node fetch", ("node", str(_HERE / "node/with_fetch.mjs")), _PLAIN_HTTP, shut=_NODE_TUNNELS),
    Client(
        "Java HttpClient", ("java", "-XX:TieredStopAtLevel=1", str(_HERE / "java/WithHttpClient.java")), _PLAIN_HTTP
    ),
    Client("Python openai", _python("with_openai.py"), dict.fromkeys(_OPENAI_FORMATS, _OPENAI)),
    Client("Python anthropic", _python("with_anthropic.py"), {"anthropic_messages": _OPENAI}),
    Client("Python google-genai", _python("with_google_genai.py"), {"gemini_generate": "ClientError"}),
    Client(
        "Python boto3",
        _python("with_boto3.py"),
        dict.fromkeys(("bedrock_converse", "bedrock_invoke"), "AccessDeniedException"),
    ),
    Client("Python cohere", _python("with_cohere.py"), {"cohere_chat": "ForbiddenError"}),
    Client("Python mistralai", _python("with_mistralai.py"), {"mistral_chat": "SDKError"}),
    Client(
        "Python ollama", _python("with_ollama.py"), dict.fromkeys(("ollama_chat", "ollama_generate"), "ResponseError")
    ),
    Client(
        "Node openai",
        ("node", str(_HERE / "node/with_openai.mjs")),
        dict.fromkeys(("openai_chat", "openai_responses"), _OPENAI),
        needs=_NODE_OPENAI,
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client saw of one step; text is what it said, or the body in base64 (plain HTTP clients)."""

    outcome: str
    text: str


def run(client: Client, door: Door, calls_file: Path) -> dict[tuple[str, str], Seen]:
    """Start a client at a door and return what it saw, by format and step.

    Raises: AssertionError when it ends otherwise than by itself.
    """
    program = _which(client.command[0])
    assert program is not None, client.command[0]
    done = subprocess.run(
        [program, *client.command[1:]],
        env=environment(door, calls_file),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{client.name} at {door.name} ended with {done.returncode}:\n{done.stderr}"
    return {(row[0], row[1]): Seen(row[2], row[3]) for row in json.loads(done.stdout.splitlines()[-1])}


def environment(door: Door, calls_file: Path) -> dict[str, str]:
    """Return the environment of a client: this machine's without what would mislead it, keys of no worth, the door's variables."""
    inherited = {name: value for name, value in os.environ.items() if not _misleads(name)}
    keys = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "CO_API_KEY", "MISTRAL_API_KEY")
    aws = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
    mine = {
        "ATTACK": ATTACK,
        "CUT": CUT,
        "CALLS": str(calls_file),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "ignore",
    }
    local = {"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1"}
    return {**inherited, **dict.fromkeys(keys, "sk-client"), **aws, **mine, **local, **door.variables}


def _misleads(name: str) -> bool:
    return any(part in name.lower() for part in _LEFT_OUT)


def _which(program: str) -> str | None:
    """Return where a program is: beside this Python first, where Node's wheel puts it."""
    beside = Path(sys.executable).parent
    return shutil.which(program, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
