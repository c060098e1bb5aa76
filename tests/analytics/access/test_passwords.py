"""Passwords: argon2id at the cost we say, and the same work for accounts that do not exist."""

import time

import pytest

from analytics.access import passwords

GOOD = "correct horse battery"


def test_a_password_belongs_to_its_hash_and_to_no_other() -> None:
    held = passwords.hashed(GOOD)
    assert held.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.hashed(GOOD) != held  # its own salt each time
    assert (passwords.verify(held, GOOD), passwords.verify(held, GOOD + " ")) == (True, False)
    assert not passwords.stale(held)


def test_lone_surrogates_are_characters_like_others() -> None:
    assert passwords.verify(passwords.hashed("\ud800" + GOOD), "\ud800" + GOOD)


def test_without_a_hash_or_with_a_broken_one_the_answer_is_no() -> None:
    assert not passwords.verify(None, GOOD)
    assert not passwords.verify("", GOOD)
    assert not passwords.verify("$argon2id$broken", GOOD)


def test_the_hash_of_nobody_costs_what_every_other_does() -> None:
    """Otherwise the time of an answer would tell which accounts exist."""
    assert not passwords.stale(passwords._NOBODY)
    held, spent = passwords.hashed(GOOD), []
    for one in (None, held, None, held, None, held):
        began = time.process_time()
        passwords.verify(one, "wrong")
        spent.append(time.process_time() - began)
    nobody, somebody = min(spent[::2]), min(spent[1::2])
    assert 0.5 < nobody / somebody < 2


def test_a_hash_of_another_cost_is_stale() -> None:
    cheap = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$6n7IElFpMGfYl5IzMYLw7FvAjJbW8Nd8Cgd6h7gFvmE"
    assert passwords.stale(cheap)


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        (GOOD, None),
        ("x7!" * 4, "a password is not a few characters over and over"),
        ("short", "a password has at least 12 characters"),
        ("a1b2c3d4e5f6" * 11, "a password has at most 128 characters"),
        ("my-ALICE-password", "a password does not contain the account's name"),
    ],
)
def test_what_makes_a_password_bad(password: str, wrong: str | None) -> None:
    assert passwords.complaint(password, "alice") == wrong
