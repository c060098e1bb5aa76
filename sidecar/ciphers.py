"""Ciphers that people know by name: shifted alphabets, Pig Latin, Morse, binary, base32, quoted-printable, marks inside words.

In: a text and the most characters that a reading may have. Out: readings with their origins, for decode's table.
Letters ciphers are told by the words that an order needs (ORDER_WORDS): decode looks for them in every disguise with one set match.
Never: guesses at a key that no word gives away, more than linear work.
"""

import base64
import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

Decoded = tuple[str, Sequence[int]]

# What orders to a model are made of; long enough that no language writes their disguise by chance.
ORDER_WORDS = (
    "ignore",
    "instructions",
    "previous",
    "disregard",
    "forget",
    "reveal",
    "system",
    "prompt",
    "password",
    "bypass",
    "override",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_VOWELS = "aeiou"


def _shifted(word: str, by: int) -> str:
    return "".join(_LETTERS[(_LETTERS.index(char) + by) % 26] for char in word)


def _mirrored(word: str) -> str:
    return "".join(_LETTERS[25 - _LETTERS.index(char)] for char in word)


def _pig(word: str) -> str:
    """Return a word in Pig Latin: the consonants at its head go to its end, then ay."""
    head = next((place for place, char in enumerate(word) if char in _VOWELS), 0)
    return f"{word[head:]}{word[:head]}ay" if head else f"{word}way"


# Disguised word -> how far its letters were moved on. Rot13 and reversal have patterns of their own in decode.
_SHIFTS = {_shifted(word, by): by for by in range(1, 26) if by != 13 for word in ORDER_WORDS}
_MIRRORED = frozenset(map(_mirrored, ORDER_WORDS))
_PIG = {
    _pig(word): word
    for word in (
        *ORDER_WORDS,
        "rules",
        "show",
        "secret",
        "hidden",
        "repeat",
        "pretend",
        "limits",
        "filters",
        "tell",
        "print",
    )
}
_PIG_WORD = re.compile(r"[a-z]{3,}ay\b", re.IGNORECASE)


def _any(words: Iterator[str] | Sequence[str]) -> str:
    return rf"\b(?:{'|'.join(sorted(words))})\b"


# Shapes for decode's set match: (kind, pattern), case-insensitive.
SHAPES = (
    ("caesar", _any([*_SHIFTS, *_MIRRORED])),
    ("pig_latin", _any([*_PIG, *(f"{word[:-2]}yay" for word in _PIG if word.endswith("way"))])),
    ("morse", r"(?:[.\-·•–—−_]{1,6}[ /|]{1,3}){12}"),
    ("binary", r"\b(?:[01]{7,8}[ ,_]?){6}"),
    ("base32", r"\b(?:[a-z2-7]{8}){4}[a-z2-7]{0,7}={0,6}"),
    ("quoted_printable", r"=[0-9a-f]{2}.{0,16}=[0-9a-f]{2}.{0,16}=[0-9a-f]{2}|[a-z]=\r?\n[a-z]"),
    ("marks", r"[a-z](?:<[/!a-z][^<>]{0,80}>|\*\*|__|~~|``?|\x1b\[[0-9;]{0,12}[a-z])+[a-z]"),
)


def caesar(text: str, budget: int) -> Iterator[Decoded]:
    """Yield the text with its letters moved back, once per key that its words give away; Atbash is a key too."""
    part = text[:budget]
    words = [word.lower() for word in islice((match[0] for match in _WORD.finditer(part)), 4096)]
    keys = dict.fromkeys(_SHIFTS[word] for word in words if word in _SHIFTS)
    for by in islice(keys, 2):
        moved = _shifted(_LETTERS, -by)
        yield part.translate(str.maketrans(_LETTERS + _LETTERS.upper(), moved + moved.upper())), range(len(part))
    if not _MIRRORED.isdisjoint(words):
        turned = _LETTERS[::-1]
        yield part.translate(str.maketrans(_LETTERS + _LETTERS.upper(), turned + turned.upper())), range(len(part))


def pig_latin(text: str, budget: int) -> Iterator[Decoded]:
    """Yield the text with words in Pig Latin turned back."""
    return substitute(_PIG_WORD, text, _unpig, budget)


def _unpig(word: str) -> str:
    lower = word.lower()
    known = _PIG.get(lower) or _PIG.get(f"{lower[:-3]}way")
    if known or lower.endswith(("way", "yay")):
        return known or lower[:-3]
    body = lower[:-2]
    head = len(body) - len(body.rstrip("bcdfghjklmnpqrstvwxyz"))
    head = min(max(head, 1), 2)  # two consonants at the most: what stands before them was the word's end
    return body[-head:] + body[:-head]


_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. .-.-.- --..-- ..--.. -.-.-- ---..."
)
_MORSE = dict(
    zip(
        _SIGNS.split(),
        "abcdefghijklmnopqrstuvwxyz0123456789.,?!:",
        strict=True,
    )
)  # ITU-R M.1677-1
_MORSE_RUN = re.compile(r"(?:[.\-·•–—−_]{1,6}[ /|]{1,3}){11,}[.\-·•–—−_]{1,6}")
_MORSE_SIGNS = str.maketrans("·•–—−_", "..----")


def morse(text: str, budget: int) -> Iterator[Decoded]:
    """Yield runs of Morse; more than one blank, or a stroke, parts words."""
    for run in _MORSE_RUN.finditer(text):
        words = re.split(r" *[/|] *| {2,}", run[0].translate(_MORSE_SIGNS))
        plain = " ".join("".join(_MORSE.get(sign, "") for sign in word.split()) for word in words)[:budget]
        if len(plain) >= 8 and len(set(plain)) >= 5:  # a row of dots is no text
            yield plain, _spread(run, len(plain))


_BINARY_RUN = re.compile(r"(?:\b[01]{7,8}[ ,_\n]*){6,}|\b[01]{48,}\b")


def binary(text: str, budget: int) -> Iterator[Decoded]:
    """Yield runs of binary numbers of seven or eight digits read as ASCII."""
    for run in _BINARY_RUN.finditer(text):
        numbers = (
            re.findall("[01]{7,8}", run[0]) if re.search("[ ,_]", run[0].strip()) else re.findall("[01]{8}", run[0])
        )
        plain = "".join(chr(int(number, 2) & 0x7F) for number in numbers)[:budget]
        if plain.isprintable() and sum(char.isalpha() for char in plain) * 2 > len(plain):
            yield plain, _spread(run, len(plain))


_BASE32_RUN = re.compile(r"\b[A-Z2-7]{32,}={0,6}|\b[a-z2-7]{32,}={0,6}")


def base32(text: str, budget: int) -> Iterator[Decoded]:
    """Yield runs of base32 that hold text."""
    for run in _BASE32_RUN.finditer(text):
        body = run[0].rstrip("=").upper()
        try:
            plain = base64.b32decode(body + "=" * (-len(body) % 8)).decode()
        except ValueError:
            continue
        if plain.isprintable() and any(char == " " for char in plain):
            yield plain[:budget], _spread(run, min(len(plain), budget))


_QUOTED = re.compile(r"=\r?\n|(?:=[0-9A-Fa-f]{2}(?:=\r?\n)?)+")


def quoted_printable(text: str, budget: int) -> Iterator[Decoded]:
    """Yield the text with quoted-printable bytes and soft line ends read (RFC 2045, 6.7)."""
    return substitute(_QUOTED, text, _unquote, budget)


def _unquote(run: str) -> str:
    return codecs.decode(run.encode("ascii"), "quopri").decode("utf-8", "replace")


# Tags, comments, emphasis and colours that stand between two letters.
_MARKS = re.compile(r"<[/!a-zA-Z][^<>]{0,200}>|\*\*|__|~~|``?|\x1b\[[0-9;]{0,12}[A-Za-z]")


def marks(text: str, budget: int) -> Iterator[Decoded]:
    """Yield the text without the marks that no reader sees: tags, comments, emphasis, terminal colours."""
    return substitute(_MARKS, text, lambda _: "", budget)


def _spread(run: re.Match[str], length: int) -> Sequence[int]:
    return [run.start() + place * (run.end() - run.start()) // length for place in range(length)]


def substitute(pattern: re.Pattern[str], text: str, read: Callable[[str], str], budget: int) -> Iterator[Decoded]:
    """Yield the text around and in the runs of a pattern with each run read; origins are exact."""
    pieces: list[str] = []
    origin: list[int] = []
    position = size = 0
    for run in pattern.finditer(text):
        plain = text[max(position, run.start() - 400) : run.start()]
        decoded = read(run[0])
        pieces += (plain, decoded)
        origin.extend(range(run.start() - len(plain), run.start()))
        origin.extend(run.start() + i * (run.end() - run.start()) // max(1, len(decoded)) for i in range(len(decoded)))
        position = run.end()
        size += len(plain) + len(decoded)
        if size >= budget:
            break
    if not pieces:
        return
    tail = text[position : position + 400]
    origin.extend(range(position, position + len(tail)))
    decoded_text = "".join(pieces) + tail
    if any(char.isalpha() for char in decoded_text):
        yield decoded_text, origin


DECODERS: dict[str, Callable[[str, int], Iterator[Decoded]]] = {
    "caesar": caesar,
    "pig_latin": pig_latin,
    "morse": morse,
    "binary": binary,
    "base32": base32,
    "quoted_printable": quoted_printable,
    "marks": marks,
}
