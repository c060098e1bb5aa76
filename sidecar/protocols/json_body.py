"""Reading JSON bodies strictly: what two parsers could read differently is refused, never guessed.

In: bytes. Out: plain Python values, and their string leaves with JSON pointers.
Never: recursion over the value (a body may be 100,000 levels deep), or a body accepted that a provider may read otherwise
(duplicate keys, NaN, invalid UTF-8, lone surrogates): an attack could hide in the difference.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

# A key ends in a quote, perhaps spaces, and a colon. Inside a string the same characters can stand too (with the quote
# escaped), so counting them never counts too few keys: when the numbers agree there is no duplicate.
_KEY_END = re.compile(rb'"[ \t\r\n]*:')

# Leaves such as roles and types are not worth a detector's time. Twelve characters of an identifier hold no order, no URL
# and no key of any vendor (the shortest secret shape we know, an AWS access key id, has twenty).
_TOKEN = re.compile(r"[A-Za-z0-9_-]{0,12}")

# Longer pointers end here: a key of megabytes over a list of a million strings would otherwise be copied a million times.
_MAX_POINTER = 1024
_TOO_DEEP = "/…"


class MalformedBody(ValueError):  # noqa: N818 - named for what it is, STYLE 6
    """The body is not what its protocol says. The message never holds content."""


def load(data: bytes) -> Any:
    """Return the JSON value of a body.

    Bounds: linear; a body without duplicate keys or escaped quotes before colons is parsed once.
    Raises: MalformedBody for anything but one strict JSON value (RFC 8259) in UTF-8 with unique keys.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(_reason(error)) from None
    except RecursionError:
        raise MalformedBody("the JSON is nested too deeply") from None
    if len(_KEY_END.findall(data)) != _count_keys(value):
        _refuse_duplicates(data)
    return value


def _reason(error: Exception) -> str:
    """Keep the parser's reason, which holds positions but no content."""
    text = str(error)
    return text if text.startswith(("JSON is malformed", "Input data was truncated")) else "the body is not valid JSON"


def _count_keys(value: Any) -> int:
    keys, stack = 0, [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            keys += len(item)
            stack.extend(item.values())
        elif type(item) is list:
            stack.extend(item)
    return keys


def _refuse_duplicates(data: bytes) -> None:
    try:
        json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise MalformedBody("the JSON is nested too deeply") from None
    except MalformedBody:
        raise
    except ValueError:
        raise MalformedBody("the body is not valid JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise MalformedBody("an object has the same key twice")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"{name} is not JSON")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (JSON pointer, text) for every string in a value worth scanning, keys included, in document order.

    Shape: a pointer of more than 1,024 characters is cut where it grew too long, and ends in an ellipsis.
    Bounds: linear, no recursion. Identifiers of at most 12 characters are passed over.
    """
    stack = [(path, value)]
    while stack:
        at, item = stack.pop()
        if type(item) is str:
            if not _TOKEN.fullmatch(item):
                yield at, item
        elif type(item) is dict:
            yield from ((at, key) for key in item if not _TOKEN.fullmatch(key))
            stack.extend((step(at, key), item[key]) for key in reversed(item))
        elif type(item) is list:
            stack.extend((step(at, str(index)), item[index]) for index in range(len(item) - 1, -1, -1))


def step(at: str, key: str) -> str:
    """Return the pointer of what stands under a key; one that grows too long stays where it is and says so."""
    if len(at) + len(key) < _MAX_POINTER and not at.endswith(_TOO_DEEP):
        return f"{at}/{escape(key)}"
    return at if at.endswith(_TOO_DEEP) else at + _TOO_DEEP


def escape(key: str) -> str:
    """Return a key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key
