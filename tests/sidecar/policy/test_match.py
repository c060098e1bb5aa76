"""Which scopes a request falls into."""

import time

import pytest

from sidecar.policy.match import Bits, Facts, Matcher
from sidecar.policy.scoped import FIELDS, Match

ADA = Facts("acme", "ada", "red", "gpt-4o", "openai", "/v1/chat/completions", "gateway", "api.openai.com")


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_can_be_matched(field: str) -> None:
    value: str = getattr(ADA, field)
    scopes = [Match(**{field: value}), Match(**{field: (value[:2] + "*",)}), Match(**{field: "other"}), Match()]
    assert Matcher(scopes).bits(ADA) == 0b1011


def test_every_field_that_is_given_must_fit_and_one_of_its_patterns() -> None:
    matcher = Matcher([Match(user=("bob", "a?a"), model="gpt-*"), Match(user="ada", model="claude-*"), Match(team="")])
    assert matcher.bits(ADA) == 0b001
    assert matcher.bits(ADA._replace(team="", user="bob")) == 0b101
    assert matcher.bits(Facts()) == 0b100


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("gpt-4*", "gpt-4", True),
        ("gpt-4*", "gpt-40", True),
        ("gpt-4?", "gpt-4", False),
        ("*", "", True),
        ("a*z", "a\nz", True),
        ("GPT*", "gpt-4", False),
        ("a[bc]*", "a[bc]d", True),
        ("a[bc]*", "abd", False),
        ("a.c*", "abc", False),
        ("", "", True),
        ("", "x", False),
        ("a!b*", "a!bc", True),
    ],
)
def test_patterns_have_two_signs_and_nothing_else(pattern: str, value: str, fits: bool) -> None:
    assert bool(Bits([(pattern,)])[value]) is fits


def test_what_is_remembered_is_bounded_and_long_values_are_not() -> None:
    bits = Bits([("x*",)])
    for number in range(10_000):
        assert bits[f"x{number}"] == 1
    assert len(bits) <= 4096
    assert bits["x" * 1000] == 1
    assert "x" * 1000 not in bits


def test_a_hostile_value_takes_no_time() -> None:
    bits = Bits([("*a*a*a*a*a*a*a*b",)])
    began = time.perf_counter()
    assert bits["a" * 60_000] == 0
    assert time.perf_counter() - began < 1.0
