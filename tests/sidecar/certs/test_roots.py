"""The roots of the machine, and what a bundle of ours was made of."""

from pathlib import Path

from sidecar.certs.roots import heading, made_of, system_roots


def test_the_roots_that_the_environment_names_come_first(tmp_path: Path) -> None:
    named = tmp_path / "corp.pem"
    named.write_text("roots")
    assert system_roots({"SSL_CERT_FILE": str(named)}) == str(named)
    assert system_roots({"SSL_CERT_FILE": f"{tmp_path}/none.pem"}) == system_roots({})


def test_a_bundle_of_ours_stands_for_what_it_was_made_of(tmp_path: Path) -> None:
    """Otherwise Douane, started inside `douane env`, would verify providers against its own authority."""
    roots, own = tmp_path / 'with "quotes"\n.pem', tmp_path / "own.pem"
    roots.write_text("roots")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(heading((roots, own)) + b"roots and ours")
    assert made_of(bundle) == (roots, own)
    assert system_roots({"SSL_CERT_FILE": str(bundle)}) == str(roots)
    roots.unlink()
    assert system_roots({"SSL_CERT_FILE": str(bundle)}) == system_roots({})


def test_other_files_stand_for_themselves(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_bytes(heading((tmp_path,)).replace(b"[", b"("))
    for path in (broken, tmp_path / "none.pem", tmp_path):
        assert made_of(path) == (path,)
