"""The certificates, as they are written. Who accepts them: test_clients.py."""

from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sidecar.certs.authority import utc_now
from sidecar.certs.signing import AUTHORITY_LIFE, BACKDATED, LEAF_LIFE, new_leaf, new_signer

NOW = utc_now().replace(microsecond=0)
DOMAINS = ("api.openai.com", "openai.azure.com")


def test_a_root_an_issuer_and_a_leaf_stand_above_each_other() -> None:
    signer, cross = new_signer(DOMAINS, NOW)
    leaf = new_leaf(signer, "api.openai.com", NOW)
    (certificate, issuer) = x509.load_pem_x509_certificates(leaf.chain_pem)
    assert (issuer, cross, signer.domains) == (signer.issuer, (), DOMAINS)
    signer.root.verify_directly_issued_by(signer.root)
    issuer.verify_directly_issued_by(signer.root)
    certificate.verify_directly_issued_by(issuer)
    assert signer.key.public_key() == issuer.public_key() != signer.root.public_key()
    assert certificate.not_valid_before_utc == NOW - BACKDATED
    assert (certificate.not_valid_after_utc, leaf.not_after) == (NOW + LEAF_LIFE,) * 2
    assert signer.root.not_valid_after_utc == issuer.not_valid_after_utc == NOW + AUTHORITY_LIFE


def test_every_certificate_is_for_servers_and_the_names_are_critical() -> None:
    signer, _ = new_signer(DOMAINS, NOW)
    (leaf, _) = x509.load_pem_x509_certificates(new_leaf(signer, "api.openai.com", NOW).chain_pem)
    for certificate in (signer.root, signer.issuer, leaf):
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    for certificate in (signer.root, signer.issuer):
        names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        assert names.critical
        assert [str(subtree.value) for subtree in names.value.permitted_subtrees or ()] == [
            *DOMAINS,
            "255.255.255.255/32",
        ]


def test_a_new_root_is_signed_by_the_old_issuer_until_that_ends() -> None:
    old, _ = new_signer(DOMAINS, NOW)
    new, (cross, above) = new_signer(DOMAINS, NOW + timedelta(days=300), old)
    cross.verify_directly_issued_by(old.issuer)
    assert (above, cross.subject, cross.public_key()) == (old.issuer, new.root.subject, new.root.public_key())
    assert cross.not_valid_after_utc == old.issuer.not_valid_after_utc < new.root.not_valid_after_utc
