"""What clients trust: the system's roots and our authority in one file, for all the programs that take only one; a Java truststore.

In: the authority's folder, the file of the system's roots. Out: <folder>/bundle.pem and <folder>/truststore.p12, renewed when
either changes. A program that trusts the bundle trusts what it trusted before, and LLM hosts through us.
Never: holds a key.
Source: Java reads trusted certificates from PKCS#12 when they carry the attribute 2.16.840.1.113894.746875.1.1 (JDK 8u301 and
later), which `cryptography` writes (serialize_java_truststore).
"""

import hashlib
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from sidecar.certs.authority import AuthorityError, Clock, replace_file, trusted, utc_now

# A truststore without a password is refused by some JVMs; this one guards nothing, it is Java's usual.
STORE_PASSWORD = "changeit"  # noqa: S105 - Java's documented default, on certificates that everybody may read
_SHA256 = hashes.SHA256()
_PEM, _STORE = "bundle.pem", "truststore.p12"


def bundle(folder: Path, roots_file: Path, now: Clock = utc_now) -> Path:
    """Return the file with the system's roots and our authorities, written anew where it is out of date.

    Raises: AuthorityError naming the file of roots where it cannot be read.
    """
    data = _roots(roots_file).rstrip(b"\n") + b"\n" + b"".join(_pem(item) for item in trusted(folder, now))
    path = folder / _PEM
    if not path.exists() or path.read_bytes() != data:
        replace_file(path, data, 0o644)
    return path


def truststore(folder: Path, roots_file: Path, now: Clock = utc_now) -> Path:
    """Return the same for Java. Units: some 50 ms where it is out of date."""
    data = bundle(folder, roots_file, now).read_bytes()
    path, stamp = folder / _STORE, folder / f"{_STORE}.of"
    digest = hashlib.sha256(data).hexdigest()
    if path.exists() and stamp.exists() and stamp.read_text() == digest:
        return path
    listed = {item.fingerprint(_SHA256): item for item in _certificates(data)}
    entries = [pkcs12.PKCS12Certificate(item, f"{number}".encode()) for number, item in enumerate(listed.values())]
    encryption = serialization.BestAvailableEncryption(STORE_PASSWORD.encode())
    replace_file(path, pkcs12.serialize_java_truststore(entries, encryption), 0o644)
    replace_file(stamp, digest.encode(), 0o644)
    return path


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


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
