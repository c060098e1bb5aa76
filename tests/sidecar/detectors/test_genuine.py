"""What tells a secret from its look-alikes."""

import base64
import string
import zlib

import pytest

from sidecar.detectors import genuine
from sidecar.detectors.genuine import confidence, entropy, is_credentials, is_digest, is_jwt, is_mixed, is_placeholder

RANDOM = "q7Zr82xVmK03LpTd9sWbYcHfNg4EuA"


def test_entropy_counts_bits_per_character() -> None:
    assert (entropy(""), entropy("aaaa"), entropy("abcd")) == (0.0, 0.0, 2.0)


@pytest.mark.parametrize(
    "value",
    [
        "your-api-key",
        "AKIAIOSFODNN7" + "EXAMPLE",
        "xxxxxxxxxxxx",
        "${TOKEN}",
        "{{ token }}",
        "<token>",
        "process.env.KEY",
        "sk-...abcd",
        "abcdefghijklmnop",
        "0123456789012345",
        "aaaaaaaaaaaaaaab",
        "ab12ab12ab12ab12",
        "changeme1",
    ],
)
def test_placeholders_are_told(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", [RANDOM, "Gv7!mop92", "hunter-7Q", "9f86d081884c7d65"])
def test_random_values_are_no_placeholders(value: str) -> None:
    assert not is_placeholder(value)


def test_words_are_not_mixed() -> None:
    assert not is_mixed("learn-python-the-hard-way-2024")
    assert not is_mixed("SomeCamelCaseNameOfClass")
    assert is_mixed(RANDOM)
    assert is_mixed("FpzvgCRNGAny")


def test_digests_are_told_by_their_length() -> None:
    assert is_digest("d41d8cd98f00b204e9800998ecf8427e")
    assert not is_digest(RANDOM)


def base62(number: int) -> str:
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    text = ""
    while number:
        number, rest = divmod(number, 62)
        text = digits[rest] + text
    return text.rjust(6, "0")


def test_a_checksum_that_holds_makes_sure_and_one_that_fails_does_not_clear() -> None:
    good = "gh" + "p_" + RANDOM + base62(zlib.crc32(RANDOM.encode()))
    assert confidence("secrets.github_token", good) == 1.0
    assert confidence("secrets.github_token", good[:-1] + "-") == genuine.UNSURE
    assert confidence("secrets.slack_token", "anything") == 1.0


def test_a_jwt_has_a_header_with_an_algorithm() -> None:
    def token(header: str, claims: str) -> str:
        return (
            ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, claims)) + ".x"
        )

    assert is_jwt(token('{"alg": "HS256"}', '{"sub": "7"}'))
    assert not is_jwt(token('{"alg": "HS256"}', '{"sub": "1234567890"}'))
    assert not is_jwt(token('{"typ": "JWT"}', '{"sub": "7"}'))
    assert not is_jwt("eyJ.eyJ.x")


def test_basic_credentials_decode_to_a_name_and_a_password() -> None:
    assert is_credentials(base64.b64encode(b"svc:q7Rz82xV").decode())
    assert not is_credentials(base64.b64encode(b"no colon here").decode())
    assert not is_credentials("????")
