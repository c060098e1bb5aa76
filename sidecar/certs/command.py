"""`douane ca`, `douane env`, `douane run`: our authority, and programs that go through the proxy.

In: parsed arguments, Settings. Out: an exit status, or another program in our place (run).
"""

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sidecar.certs.authority import Authority, open_authority, overlapping, rotate, trusted, uncovered
from sidecar.certs.bundle import bundle
from sidecar.config import ConfigError, Settings
from sidecar.environment import LOCAL, Trust, named_files, variables, written

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as shells have it (POSIX, 2.8.2)
# Time to hand a new certificate to machines that do not use `douane env`.
_SOON = timedelta(days=60)
_NO_PROXY = 69  # EX_UNAVAILABLE (sysexits.h)

_HOW = """to trust it:
  one program        douane run -- COMMAND        (or: eval "$(douane env)")
  Debian, Ubuntu     sudo cp {ca} /usr/local/share/ca-certificates/douane.crt && sudo update-ca-certificates
  Fedora, RHEL       sudo cp {ca} /etc/pki/ca-trust/source/anchors/douane.pem && sudo update-ca-trust
  Chrome on Linux    certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n Douane -i {ca}
  macOS              sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {ca}
  Windows            certutil -addstore Root ca.pem
  Java               keytool -importcert -cacerts -noprompt -alias douane -file {ca}"""


def _authority(settings: Settings) -> Authority:
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    return open_authority(settings.folder / "ca", settings.llm_names())


def show(settings: Settings) -> int:
    """Print what our authority is, where it lies, and how to trust it."""
    authority = _authority(settings)
    certificate, folder = authority.certificate, authority.folder
    lines = [
        f"authority    {certificate.subject.rfc4514_string()}",
        f"fingerprint  SHA-256 {certificate.fingerprint(hashes.SHA256()).hex(':').upper()}",
        f"valid        {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        + (" ENDS SOON: `douane ca rotate`" if certificate.not_valid_after_utc - authority.now() < _SOON else ""),
        f"signs for    {', '.join(authority.domains)}; what is below them; no addresses",
        f"certificate  {folder / 'ca.pem'}",
        f"key          {folder / 'authority.pem'} (0600, never leaves this machine)",
    ]
    before = trusted(folder)[1:]
    lines += [
        f"before it    {item.subject.rfc4514_string()}, until {item.not_valid_after_utc:%Y-%m-%d}" for item in before
    ]
    for domain in uncovered(authority, settings.llm_names()):
        lines.append(f"NOT COVERED  {domain}: it became an LLM host later; `douane ca rotate`")
    print("\n".join((*lines, "", _HOW.format(ca=folder / "ca.pem"))))
    return 0


def export(settings: Settings, form: str, out: Path | None) -> int:
    """Write our authority's certificate, never its key."""
    authority = _authority(settings)
    if form == "p12":
        data = bundle(authority.folder, Path(settings.upstream_ca_file)).truststore.read_bytes()
    else:
        data = _encoded(authority.certificate, form)
    if out is not None:
        out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
    return 0


def _encoded(certificate: x509.Certificate, form: str) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER if form == "der" else serialization.Encoding.PEM)


def renew(settings: Settings) -> int:
    """Put a new authority in the place of ours; who trusts the old one accepts the new one's leaves."""
    folder = settings.folder / "ca"
    known = trusted(folder)
    after = rotate(folder, settings.llm_names())
    print(f"new authority  {after.certificate.subject.rfc4514_string()}\n               {folder / 'ca.pem'}")
    print("A running Douane takes it up within seconds.")
    served, lost = known[: overlapping(after)], known[overlapping(after) :]
    if served:
        print(
            f"Clients that trust the old one go on until {served[0].not_valid_after_utc:%Y-%m-%d}, because the new one is signed "
            "by it. Give\nthem the new certificate before then; `douane env` and `douane run` do."
        )
    else:
        print("The old one had ended: give the new certificate to every client; `douane env` and `douane run` do.")
    for certificate in lost:
        print(f"NOT ANY MORE   {certificate.subject.rfc4514_string()}: clients that know only this one are refused now")
    return 0


def trust_of(settings: Settings, known: Mapping[str, str]) -> Trust:
    """Return the proxy's place and the files of whom to trust, made where they are missing; known is the environment as it is.

    Raises: ConfigError when there is no forward proxy.
    """
    if not settings.proxy_port:
        raise ConfigError("DOUANE_PROXY_PORT is 0: there is no forward proxy to go through")
    folder, roots = _authority(settings).folder, Path(settings.upstream_ca_file)
    own = tuple(path for path in named_files(known) if path != roots and path.parent != folder)
    direct = dict.fromkeys((*LOCAL, _reached(settings.bind)))
    return Trust(_reached(settings.proxy_bind), settings.proxy_port, bundle(folder, roots, own), tuple(direct))


def _reached(bind: str) -> str:
    """Return the address at which what listens on an address, or on all, is reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - where it listens


def environment(settings: Settings, shell: str, known: Mapping[str, str]) -> int:
    """Print what sets the environment in a shell."""
    print(written(variables(trust_of(settings, known), known), shell))
    return 0


def run(settings: Settings, command: list[str], *, check: bool) -> int:
    """Become a program inside the environment; its signals and exit status are its own.

    Returns: only where it cannot: 127 not found, 126 not executable, 69 the proxy does not answer.
    """
    trust = trust_of(settings, os.environ)
    if check and not _answers(trust):
        print(
            f"douane: nothing answers on the forward proxy {trust.host}:{trust.port}; start it with `douane up`, or set "
            "DOUANE_PROXY_PORT; --no-check runs the program all the same",
            file=sys.stderr,
        )
        return _NO_PROXY
    sys.stdout.flush()
    try:
        os.execvpe(command[0], command, {**os.environ, **variables(trust, os.environ)})  # noqa: S606 - what was asked for
    except FileNotFoundError:
        print(f"douane: {command[0]}: command not found", file=sys.stderr)
        return _NOT_FOUND
    except OSError as error:
        print(f"douane: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_EXECUTABLE


def _answers(trust: Trust) -> bool:
    try:
        with socket.create_connection((trust.host, trust.port), 2):
            return True
    except OSError:
        return False


def command(settings: Settings, parsed: argparse.Namespace) -> int:
    """Run the command that was parsed. Raises: ConfigError when `run` was given no program."""
    if parsed.ca == "run":
        program = parsed.command[1:] if parsed.command[:1] == ["--"] else parsed.command
        if not program:
            raise ConfigError("which program? douane run -- COMMAND [ARGUMENTS]")
        return run(settings, program, check=not parsed.no_check)
    if parsed.ca == "env":
        return environment(settings, parsed.shell, os.environ)
    if parsed.ca == "export":
        return export(settings, parsed.format, parsed.out)
    return renew(settings) if parsed.ca == "rotate" else show(settings)
