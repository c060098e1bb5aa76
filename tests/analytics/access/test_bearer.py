"""API tokens as text: made once, read back, kept as a digest."""

import hashlib

import pytest

from analytics.access import bearer


def counting(count: int) -> bytes:
    return bytes(range(count))


SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def test_a_token_is_prefix_id_and_secret_and_only_its_digest_is_kept() -> None:
    minted = bearer.mint(counting)
    assert minted.text == f"dou_0001020304050607_{SECRET}"
    assert (minted.id, minted.digest) == ("0001020304050607", hashlib.sha256(SECRET.encode()).hexdigest())
    assert SECRET not in repr(minted)


def test_what_is_minted_reads_back() -> None:
    minted = bearer.mint(counting)
    assert bearer.read(minted.text) == (minted.id, minted.digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dou_",
        f"dou_0001020304050607_{SECRET}x",
        f"dou_0001020304050607_{SECRET[:-1]}",
        f"DOU_0001020304050607_{SECRET}",
        f"dou_000102030405060G_{SECRET}",
        f"dou_0001020304050607_{SECRET[:-1]}é",
        f"dou_0001020304050607_{SECRET}\n",
    ],
)
def test_what_is_no_token_of_ours_is_none(text: str) -> None:
    assert bearer.read(text) is None


@pytest.mark.parametrize(
    ("header", "held"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", ""),
        ("Basic YTpi", None),
        ("", None),
        ("abc", None),
    ],
)
def test_only_the_scheme_bearer_is_ours(header: str, held: str | None) -> None:
    assert bearer.credentials(header) == held
