"""Tells real secrets from what only has their shape: placeholders, samples of documentation, digests, code.

In: a value that a shape matched. Out: whether it looks random, and how sure its own checksum makes us.
Never: asks a vendor, knows shapes.
"""

import base64
import hashlib
import json
import math
import re
import zlib
from collections import Counter
from itertools import pairwise

# Words that say of a value that it is none. Four letters at least: shorter ones turn up in random values.
_PLACEHOLDER = re.compile(
    r"example|%20|sample|placeholder|dummy|change[-_ ]?(?:me|this|it)|chang[ée]z|replace|redacted|insert|your[-_ ]|[-_]here\b|xxxx"
    r"|todo|fixme|fake|not[-_ ]?a?[-_ ]?real|foobar|lorem|my[-_](?:api|secret|token|key|pass)|enter[-_]|<|>|\.\.\.|\*\*\*|••|…|\[\["
    r"|\$\{|\{\{|\$\(|%\(|#\{|process\.env|os\.environ|getenv|secrets?\.[a-z]|(?:^|[-_])(?:password|passwort|passwd|secret|token|apikey"
    r"|contrase|motdepasse)(?:[-_\d]|$)",
    re.IGNORECASE,
)
# Values that documentation prints or emulators have built in: the first 16 hex digits of their SHA-256.
# Sources: the signatures of jwt.io's two samples and of RFC 7519's, Azurite's key, the Cosmos DB emulator's key.
_KNOWN = frozenset({"051d093c4bdedbf2", "08831f80b56414a9", "a415af04e1b13393", "0011cc25eb432071", "aa6547439583c3a2"})
_PIECES = re.compile(r"[^A-Za-z0-9]+")
_CAMEL = re.compile(r"(?:[A-Z]?[a-z]+)*[A-Z]{0,6}\d*")
_HEX = re.compile(r"(?:sha\d+[:-])?(?:0x)?[0-9a-fA-F]+")
_DIGITS62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS36 = "0123456789abcdefghijklmnopqrstuvwxyz"
UNSURE = 0.9


def entropy(value: str) -> float:
    """Return Shannon's entropy in bits per character of the last 64 characters."""
    tail = value[-64:]
    return -sum(n / len(tail) * math.log2(n / len(tail)) for n in Counter(tail).values()) if tail else 0.0


def is_placeholder(value: str) -> bool:
    """Tell whether a value says of itself that it is none, counts up, repeats itself or is printed in documentation."""
    return bool(_PLACEHOLDER.search(value)) or is_regular(value) or _digest(value) in _KNOWN


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16]


def is_regular(value: str) -> bool:
    """Tell whether a value is mostly a run (abcdef, 123456), one character, or a short piece over and over."""
    codes = [ord(char) for char in value]
    longest = run = 1
    for last, code in pairwise(codes):
        run = run + 1 if code == last + 1 else 1
        longest = max(longest, run)
    if longest >= 8 or longest * 2 > len(value):
        return True
    if len(value) >= 8 and max(Counter(value).values()) * 2 > len(value):
        return True
    return len(value) >= 12 and any(value[size:] == value[:-size] for size in range(1, min(10, len(value) // 2) + 1))


def is_mixed(value: str) -> bool:
    """Tell whether a value goes between letters and digits, or between cases, as random text does and words do not."""
    return any(_breaks(piece) >= 2 or _unlike_words(piece) for piece in _PIECES.split(value) if len(piece) >= 4)


def _unlike_words(piece: str) -> bool:
    """Tell whether letters are of both cases and no row of Capitalised words."""
    return len(piece) >= 10 and not piece.isupper() and not piece.islower() and not _CAMEL.fullmatch(piece)


def _breaks(piece: str) -> int:
    """Return how often a piece goes from a digit to a letter or back, or has one small letter between capitals."""
    kinds = "".join("d" if c.isdigit() else "u" if c.isupper() else "l" for c in piece)
    return len(re.findall("(?<=d)[lu]|(?<=[lu])d|(?<=u)l(?=u)", kinds))


def is_digest(value: str) -> bool:
    """Tell whether a value is hexadecimal in the length of a digest: a commit, md5, sha1, sha256 or sha512."""
    return len(value) in (32, 40, 56, 64, 96, 128) and bool(_HEX.fullmatch(value))


def confidence(rule_id: str, secret: str) -> float:
    """Return how sure a token's own checksum makes us: 1 when it holds or when there is none, UNSURE when it does not.

    A checksum that fails never clears a token: formats change, and a mistyped secret still tells much of the real one.
    Source: GitHub, "Behind GitHub's new authentication token formats" (2021-04), npm the same year: CRC32 of the random
    part in base 62, six digits; GitLab routable tokens: CRC32 of all before it in base 36, seven digits.
    """
    if rule_id in ("secrets.github_token", "secrets.npm_token") and len(secret) == 40:
        return 1.0 if _number(secret[-6:], _DIGITS62) == zlib.crc32(secret[4:-6].encode()) else UNSURE
    if rule_id == "secrets.gitlab_token" and "." in secret:
        return 1.0 if _number(secret[-7:], _DIGITS36) == zlib.crc32(secret[:-7].encode()) else UNSURE
    return 1.0


def _number(text: str, digits: str) -> int:
    """Return a number in the base of its digits, -1 for what is none."""
    value = 0
    for char in text:
        position = digits.find(char)
        if position < 0:
            return -1
        value = value * len(digits) + position
    return value


def is_jwt(token: str) -> bool:
    """Tell whether a token's first part is a JOSE header (RFC 7515, 4.1.1) and its second not jwt.io's sample."""
    head, _, rest = token.partition(".")
    header = _json(head)
    return isinstance(header, dict) and isinstance(header.get("alg"), str) and not _is_sample(rest.partition(".")[0])


def _is_sample(payload: str) -> bool:
    claims = _json(payload)
    return isinstance(claims, dict) and claims.get("sub") == "1234567890"


def _json(part: str) -> object:
    """Return what a part of a token decodes to, None for what is no JSON."""
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None


def is_credentials(encoded: str) -> bool:
    """Tell whether a value of Basic authentication (RFC 7617) decodes to name:password with a real password."""
    try:
        name, colon, password = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode().partition(":")
    except ValueError:
        return False
    return (
        bool(colon)
        and len(password) >= 4
        and name.isprintable()
        and password.isprintable()
        and not is_placeholder(password)
    )
