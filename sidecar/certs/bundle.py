"""What clients trust: the system's roots, the user's own and our authority in one file, for programs that take only one.

In: the authority's folder, files of certificates. Out: three files in that folder, renewed when any of them changes:
    bundle.pem      everything, for programs that take one file
    added.pem       our authorities and the user's own, for those that add to roots of theirs (Node)
    truststore.p12  everything, for Java
A program that trusts them trusts what it trusted before, and LLM hosts through us. Each environment that names other files than
the system's has files of its own (bundle-1a2b3c4d.pem), so that no shell takes another's trust away.
Never: holds a key.
Source: Java reads trusted certificates from PKCS#12 when they carry the attribute 2.16.840.1.113894.746875.1.1 (JDK 8u301 and
later), which `cryptography` writes (serialize_java_truststore).
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from sidecar.certs.authority import AuthorityError, Clock, locked, replace_file, trusted, utc_now
from sidecar.certs.roots import heading, system_roots

# A truststore without a password is refused by some JVMs; this one guards nothing, it is Java's usual.
STORE_PASSWORD = "changeit"  # noqa: S105 - Java's documented default, on certificates that everybody may read
_SHA256 = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files: everything, what is added to other roots, and everything for Java."""

    everything: Path
    added: Path
    truststore: Path


def bundle(folder: Path, roots: Path, own: tuple[Path, ...] = (), now: Clock = utc_now) -> Bundle:
    """Return the files for an authority's folder, written anew where they are out of date; own are further files of the user's.

    Bounds: processes that race for it write one after the other. Units: some 50 ms where something changed.
    Raises: AuthorityError naming the file of roots where it cannot be read; own files that cannot are left out.
    """
    with locked(folder):
        sources = (roots, *(path for path in own if path.is_file()))
        title, mark = heading(sources), _mark(sources)
        added = _joined(*(_own(path) for path in sources[1:]), *(_pem(one) for one in trusted(folder, now)))
        found = Bundle(folder / f"bundle{mark}.pem", folder / f"added{mark}.pem", folder / f"truststore{mark}.p12")
        everything = _joined(title, _roots(roots), added)
        _renewed(found.everything, everything)
        _renewed(found.added, _joined(title, added))
        _store(found.truststore, everything)
    return found


def _mark(sources: tuple[Path, ...]) -> str:
    """Return what tells the files of an environment apart; nothing where the system's roots are all there is."""
    if sources == (Path(system_roots({})),):
        return ""
    return "-" + hashlib.sha256(heading(sources)).hexdigest()[:8]


def _joined(*parts: bytes) -> bytes:
    return b"".join(part.rstrip(b"\n") + b"\n" for part in parts if part)


def _renewed(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data, 0o644)


def _store(path: Path, data: bytes) -> None:
    """Write a truststore of the certificates in data. It is salted: a digest beside it tells whether it is of the same."""
    stamp = path.with_name(f"{path.name}.of")
    digest = hashlib.sha256(data).hexdigest()
    if path.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    listed = {item.fingerprint(_SHA256): item for item in _certificates(data)}
    entries = [pkcs12.PKCS12Certificate(item, f"{number}".encode()) for number, item in enumerate(listed.values())]
    encryption = serialization.BestAvailableEncryption(STORE_PASSWORD.encode())
    replace_file(path, pkcs12.serialize_java_truststore(entries, encryption), 0o644)
    replace_file(stamp, digest.encode(), 0o644)


def _certificates(data: bytes) -> list[x509.Certificate]:
    """Return the certificates of a bundle; roots that are not well formed are left out: no client could use them."""
    marker = b"-----END CERTIFICATE-----"
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of serial numbers that some old roots have; nothing to do about them here
        for piece in data.split(marker)[:-1]:
            begin = piece.find(b"-----BEGIN CERTIFICATE-----")
            try:
                found.append(x509.load_pem_x509_certificate(piece[begin:] + marker + b"\n"))
            except ValueError:
                continue
    return found


def _roots(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(
            f"the system's certificates cannot be read from {path} ({error.strerror}); install ca-certificates, or name them "
            "in DOUANE_UPSTREAM_CA_FILE"
        ) from None


def _own(path: Path) -> bytes:
    """Return the certificates of a file of the user's, and nothing else that it may hold, such as a key."""
    try:
        return b"".join(_pem(item) for item in _certificates(path.read_bytes()))
    except OSError:  # not readable for us: nor would it have been for the user's program
        return b""


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
