"""The certificates of an authority of ours: a root that clients trust, an issuer below it that signs leaves, and leaves.

In: names, times. Out: certificates and keys; nothing is written.
The issuer is where the names stand, as critical name constraints (RFC 5280, 4.2.1.10): Java does not look at the constraints of
a certificate it trusts (RFC 5280, 6.1.1 d leaves them out), and every client keeps those of one below it. The root's key signs the
issuer and is dropped, so nobody can sign around them. Permitted names bind names of their kind only: an address that is nobody's
is permitted as well, so that no other one is. (Excluding all, as the CA/Browser Forum's Baseline Requirements 7.1.5 have it, ends
in an ArrayIndexOutOfBoundsException of Java 17 after a rotation: it compares IPv4 with IPv6 where two issuers exclude both.) And it
is an authority for servers alone (extended key usage), not for mail, code or users.
Never: returns a root's key.
"""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey

# Apple's clients take no leaf of more than 825 days from private authorities; ours live days, so that a lost one matters little.
LEAF_LIFE = timedelta(days=6)
# Clocks of clients differ; the CA/Browser Forum's practice is to date back by an hour.
BACKDATED = timedelta(hours=1)
# Twice a server's usual refresh cycle; `ca rotate` renews it at any time.
AUTHORITY_LIFE = timedelta(days=5 * 365)
# Rotations that a client may sleep through: each adds two certificates, some 2 KB, to a handshake.
OVERLAPS = 3
_FOR_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
# The one address permitted is nobody's: it can be no host of a connection (RFC 919, limited broadcast).
_NO_ADDRESS = x509.IPAddress(ipaddress.ip_network("255.255.255.255/32"))


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs leaves: the issuer's key and certificate, and the root above it."""

    key: Key
    issuer: x509.Certificate
    root: x509.Certificate

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains it may sign for; a name below one is covered as well."""
        found = self.issuer.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
        return tuple(str(subtree.value) for subtree in found or () if isinstance(subtree, x509.DNSName))


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for one name, with its chain up to, but without, the root."""

    name: str
    chain_pem: bytes
    key_pem: bytes
    not_after: datetime


def new_signer(
    domains: tuple[str, ...], now: datetime, old: Signer | None = None
) -> tuple[Signer, tuple[x509.Certificate, ...]]:
    """Return a signer for these domains, and what leads from its root to the old one's.

    Shape: the new root as the old issuer signs it (a cross-certificate, RFC 4158, 1.2), and the old issuer; empty without old.
    """
    called, life = (
        f"Douane on {socket.gethostname()[:30]} since {now:%Y-%m-%d %H:%M}",
        (now - BACKDATED, now + AUTHORITY_LIFE),
    )
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = x509.NameConstraints([*(x509.DNSName(domain) for domain in domains), _NO_ADDRESS], None)
    root = _authority(_name(called), root_key, life, 2 * OVERLAPS + 1)
    above = root.issuer_name(_name(called)).add_extension(names, critical=True).sign(root_key, hashes.SHA256())
    issuer = _authority(_name(f"{called}, issuer"), key, life, 2 * OVERLAPS).issuer_name(above.subject)
    issuer = issuer.add_extension(names, critical=True).add_extension(_signed_by(root_key), critical=False)
    return Signer(key, issuer.sign(root_key, hashes.SHA256()), above), _crossed(above, root_key, old)


def _crossed(root: x509.Certificate, key: Key, old: Signer | None) -> tuple[x509.Certificate, ...]:
    """Of the names, a client that trusts the old root accepts those that old and new issuer share."""
    if old is None:
        return ()
    life = root.not_valid_before_utc, min(old.issuer.not_valid_after_utc, root.not_valid_after_utc)
    builder = _authority(root.subject, key, life, 2 * OVERLAPS - 1).issuer_name(old.issuer.subject)
    return builder.add_extension(_signed_by(old.key), critical=False).sign(old.key, hashes.SHA256()), old.issuer


def new_leaf(signer: Signer, name: str, now: datetime, above: tuple[x509.Certificate, ...] = ()) -> Leaf:
    """Return a new certificate for a host name, above it the issuer and what leads from there to older roots. Units: 1 ms."""
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + LEAF_LIFE, signer.issuer.not_valid_after_utc)
    built = (
        _builder(x509.Name([]), key, (now - BACKDATED, ends))
        .issuer_name(signer.issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(_FOR_SERVERS, critical=False)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(_signed_by(signer.key), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    return Leaf(name, b"".join(pem(one) for one in (built, signer.issuer, *above)), key_pem(key), ends)


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate's text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key) -> bytes:
    """Return a key's text; it is not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common: str) -> x509.Name:
    parts = ((NameOID.ORGANIZATION_NAME, "Douane"), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _authority(
    subject: x509.Name, key: Key, life: tuple[datetime, datetime], path_length: int
) -> x509.CertificateBuilder:
    return (
        _builder(subject, key, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(_FOR_SERVERS, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _builder(subject: x509.Name, key: Key, life: tuple[datetime, datetime]) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed_by(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
