"""Passwords of people: argon2id, and the same time for accounts that do not exist.

In: a password, the hash that is held. Out: a hash, or whether they belong together.
Bounds: each hash costs 64 MiB and 0.1 to 0.4 s of a core; not more than _AT_ONCE are computed at the same time, the others
wait, so that a flood of log-ins cannot take the machine's memory.
Never: a password in a log or an error.
"""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP ASVS 4.0.3, 2.1.1 and 2.1.2: at least 12 characters, up to 128. No rule about kinds of characters (NIST SP 800-63B, 5).
SHORTEST, LONGEST = 12, 128
_AT_ONCE = 2
# argon2-cffi's own defaults: RFC 9106's second recommended set (64 MiB, 3 passes, 4 lanes).
_HASHER = PasswordHasher()
# The hash of nothing anybody knows: what a log-in of an unknown account is compared with. Of the same cost as every other.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$ZG91YW5lLW5vYm9keS4uLg$R2vXlL2R8Lk6c0xN0yUo1m6u0b0b9b1o8Y2Q1v0r5wE"
_SLOTS = threading.BoundedSemaphore(_AT_ONCE)


def complaint(password: str, name: str) -> str | None:
    """Return what is wrong with a new password for an account, None when nothing is."""
    if len(password) < SHORTEST:
        return f"a password has at least {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"a password has at most {LONGEST} characters"
    if name and name.lower() in password.lower():
        return "a password does not contain the account's name"
    return None if len(set(password)) > 4 else "a password is not a few characters over and over"


def hashed(password: str) -> str:
    """Return the hash to keep, with its salt and cost in it."""
    with _SLOTS:
        return _HASHER.hash(_bytes(password))


def verify(held: str | None, password: str) -> bool:
    """Return whether a password is the one of a hash; without a hash the same time is spent, and the answer is no."""
    with _SLOTS:
        try:
            return _HASHER.verify(held or _NOBODY, _bytes(password)) and held is not None
        except (VerificationError, InvalidHashError):
            return False


def stale(held: str) -> bool:
    """Return whether a hash was made at another cost than today's, and is to be made anew at the next log-in."""
    return _HASHER.check_needs_rehash(held)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")  # JSON may bring lone surrogates
