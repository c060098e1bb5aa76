"""Which records a match is about, and names on lists."""

import time

import pytest

from analytics.control import scopes
from tests.analytics.control.steering import row


def test_a_match_without_fields_is_about_everything() -> None:
    assert [scopes.read(given) for given in (None, {}, {"user": []})] == [scopes.EVERYTHING] * 3
    assert scopes.EVERYTHING.covers(row(1))


@pytest.mark.parametrize(
    ("host", "field"), [("API.example.com:8443", "api.example.com"), ("[::1]:80", "[::1]"), ("a", "a")]
)
def test_a_host_is_named_without_its_port(host: str, field: str) -> None:
    assert scopes.field_of(row(1, host=host), "host") == field


def test_names_on_lists() -> None:
    found = [
        scopes.named(texts, "gpt-4o") for texts in ((), ("gpt-*",), ("gpt-4",), ("claude", "gpt-4?"), ("[g]pt-4o",))
    ]
    assert found == [False, True, False, True, False]


def test_a_hostile_pattern_is_quick() -> None:
    began = time.perf_counter()
    assert not scopes.named(("a*" * 100 + "b",), "a" * 255)
    assert time.perf_counter() - began < 1.0
