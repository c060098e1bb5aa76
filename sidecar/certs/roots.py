"""Where the roots of this machine are, and of what a file of ours with roots was made.

In: the environment. Out: files of certificates.
`douane env` points SSL_CERT_FILE and its like to a bundle of ours. Whoever runs `douane env` or `douane up` inside that environment
would take it for the system's roots: the bundle would grow by itself, and Douane verify providers against its own authority.
Hence the heading: a bundle says what it was made of, and we go by that.
Source: text between certificates is ignored (RFC 7468, 2; OpenSSL, Go, Java and rustls do so: distributions' own files carry it).
"""

import json
from collections.abc import Mapping
from pathlib import Path

_HEADING = b"# Made by `douane env`, renewed by it: our authority and the certificates of "
_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def system_roots(environment: Mapping[str, str]) -> str:
    """Return the file of roots to verify against: SSL_CERT_FILE's, else the system's; never a bundle of ours."""
    named = environment.get("SSL_CERT_FILE", "")
    candidates = (*(str(path) for path in made_of(Path(named))[:1] if named), *_SYSTEM)
    return next((path for path in candidates if Path(path).exists()), _SYSTEM[0])


def heading(sources: tuple[Path, ...]) -> bytes:
    """Return a bundle's first line."""
    return _HEADING + json.dumps([str(path) for path in sources]).encode() + b"\n"


def made_of(file: Path) -> tuple[Path, ...]:
    """Return what a bundle of ours was made of; any other file stands for itself.

    Raises: nothing; a file that cannot be read stands for itself as well.
    """
    try:
        with file.open("rb") as opened:
            first = opened.readline(1 << 16)
        if first.startswith(_HEADING):
            return tuple(Path(path) for path in json.loads(first.removeprefix(_HEADING)))
    except (OSError, ValueError):
        return (file,)
    return (file,)
