"""What an occurrence is about, as a key of bounded length.

In: parts, some of them texts from records. Out: a key. Two different lists of parts never share one.
"""

from hashlib import blake2b

# A unique index holds tenant and key: PostgreSQL's rows of one take 2,704 bytes, a tenant up to 1,024.
KEY_CHARS = 200


def keyed(rule: str, *parts: str) -> str:
    """Return the key of a rule and what it is about."""
    escaped = [part.replace("%", "%25").replace("/", "%2F") for part in parts]
    key = "/".join((rule, *escaped))
    if len(key) <= KEY_CHARS:
        return key
    return f"{key[: KEY_CHARS - 33]}~{blake2b(key.encode(), digest_size=16).hexdigest()}"
