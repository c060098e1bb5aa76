"""Reads assignments: a name that speaks of a password or key, and the value it is given.

In: a text as Latin-1 bytes. Out: Assigned (name, value, where the value stands), and whether a value is a secret.
Covers env files, JSON, YAML, XML, shell and its options, code, Kubernetes lists of name and value, and sentences
("the password is ...", "le mot de passe est ...") in English, French, German, Spanish, Italian, Portuguese.
Never: backtracks (RE2 finds, slices decide), takes code for a value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import re2

from sidecar.detectors.genuine import entropy, is_digest, is_mixed, is_placeholder, is_regular

# Words for a password; a value of one may be short and chosen by a person.
_PASSWORDS = (
    r"pass[_-]?(?:word|wd|phrase|code)|passwort|kennwort|pwd|mot[ _]de[ _]passe|mdp|motdepasse"
    r"|contrase(?:n|\xf1)a|clave(?: de acceso)?|senha|parola d'ordine|codice segreto|pw|pass"
)
# Words for a key; a value of one is long and random. "key" alone names too much else.
_KEYS = (
    r"secret|token|credentials?|api[ _-]?key|app[ _-]?key|(?:access|secret|private|account|encryption|encrypt|signing|master"
    r"|signature|auth|client|license|licence|storage|session|service|admin|shared|webhook|consumer|subscription|deploy|integration"
    r"|cookie|jwt|hmac|aes|ssh|write|ingest)[ _-]?key|authorization|apikey|auth|cl(?:e|\xe9)[ _]api|schl(?:u|\xfc)ssel|pat"
)
_SEPARATED = r"\s{0,3}(?:=>|:=|==|=|:|\|)\s{0,3}"
_SAID = r"\s(?:is|was|to|est|c'est|ist|lautet|es|\xe8|e|war)(?:\s?:)?\s{1,2}"
_LISTED = r",?\s{1,16}[\"']?value[\"']?\s?[:=]\s?"
_AFTER = rf"[\w.-]{{0,16}}[\"'`\])\\]{{0,3}}(?:{_SEPARATED}|{_SAID}|{_LISTED}|>)"
_OPTION = rf"--(?:{_PASSWORDS}|{_KEYS})[ =]"
_QUOTE = r"(?:[fbru]?\\?[\"'`]{1,3})?"
_ASSIGNMENT = rf"(?i)(?:(?:{_PASSWORDS}|{_KEYS}){_AFTER}|{_OPTION}){_QUOTE}[\x21-\x7e]{{6}}"
# What every text with an assignment holds: the gate of the detector's set, without counters, which would multiply states.
GATE = (
    rf"(?i)(?:{_PASSWORDS}|{_KEYS})[\w.-]*[\"'`\])\\]*(?:\s*[:=|>]|,?\s+[\"']?value"
    rf"|\s(?:is|was|to|est|c'est|ist|lautet|es|\xe8|e|war)[\s:])|--(?:{_PASSWORDS}|{_KEYS})[ =]"
)
_NAME_REACH = 48
_VALUE_REACH = 400
_NAME = re.compile(r"[\w.-]*")  # of what stands before, read backwards
_IS_PASSWORD = re.compile(rf"(?:{_PASSWORDS})(?:[_.-]?\w{{0,12}})?\W*\Z", re.IGNORECASE)
# Names of what is no secret although a word for one stands in them.
_NOT_SECRET = re.compile(
    r"(?:next|page|continuation|continue|pagination|cursor|prompt|completion|public|primary|foreign|idempotency|csrf|xsrf|cancell?ation"
    r"|author|device|resume|(?<![a-z])(?:sync|start|end|bos|eos|pad|unk|mask|sep|cls|stop|max|min|num|total|input|output|cached|n|pub"
    r"|push))"
    r"[_. -]?(?:tokens?|keys?)\b|tokens\b|tokeni[sz]er?|(?:hash|digest|sha\d*|md5|checksum|hint|field|label|length|len|policy|regex"
    r"|url|uri|file|path|name|id|type|arn|expiry|expires(?:_?(?:in|at))?|version|fingerprint|thumbprint|count|limit|status"
    r"|format|pattern)$|\bauthor",
    re.IGNORECASE,
)
_END_OF_NAME = re.compile(r"[\"'`\])\\:=|>,\n]|\s(?:is|was|to|est|c'est|ist|lautet|es|\xe8|e|war)\s")
_SPEAKS = re.compile(r"\s(?:is|was|to|est|c'est|ist|lautet|es|\xe8|e|war)\s")
_QUOTED = re.compile(r"[^\"'`\\\r\n]+")
_BARE = re.compile(r"[^\s\"'`,;<>\\]+")
_NEXT_FIELD = re.compile(r"&\w+=")
_CODE = re.compile(
    r"[(){}\[\]]|^(?:[A-Za-z_$][\w$]*\.)+[A-Za-z_]\w*$|^[A-Za-z_]+$|^/[\w./-]+$|^https?://|^\$|^%[A-Za-z_]+%$|^@"
)
_WORDS = re.compile(r"[A-Za-z_.-]+")
_KEY_VALUE = re.compile(r"[A-Za-z0-9_+/=.~:!@#%-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Assigned:
    """A value and the name it is given to. start and end are offsets of the value; spoken is a sentence, not a line."""

    name: str
    value: str
    start: int
    end: int
    quoted: bool
    spoken: bool


def _options() -> re2.Options:
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    made.max_mem = 8 << 20
    made.log_errors = False
    return made


_PATTERN = re2.compile(_ASSIGNMENT.encode("latin-1"), _options())


def assignments(data: bytes, limit: int) -> Iterator[Assigned]:
    """Yield the assignments in a text that begin before a limit, in order.

    Bounds: linear; one look at _VALUE_REACH bytes per assignment.
    """
    position = 0
    while found := _PATTERN.search(data, position, limit):
        yield _read(data, found.start(), found.end() - 6)
        position = found.end() - 6


def _read(data: bytes, start: int, value_start: int) -> Assigned:
    """Return the assignment whose name ends in the word at start and whose value begins at value_start."""
    head = data[start:value_start].decode("latin-1")
    before = data[max(0, start - _NAME_REACH) : start].decode("latin-1")
    left = _NAME.match(before[::-1])
    quoted = head[-1:] in "\"'`"
    name = (left[0][::-1] if left else "") + _END_OF_NAME.split(head.lstrip("-"), maxsplit=1)[0]
    tail = data[value_start : value_start + _VALUE_REACH].decode("latin-1")
    match = (_QUOTED if quoted else _BARE).match(tail)
    value = match[0] if match else ""
    if not quoted:
        value = _NEXT_FIELD.split(value, maxsplit=1)[0].rstrip(".,;:!?)]}")
    spoken = not quoted and _SPEAKS.search(head) is not None
    return Assigned(name.strip(), value, value_start, value_start + len(value), quoted, spoken)


def is_secret(found: Assigned) -> str:
    """Return "password" or "assigned_key" when a value is one, else "".

    Source: floors measured on tests/sidecar/detectors/leaks_corpus.py and on ordinary texts.
    """
    value = found.value
    if len(value) < 6 or " " in value or (len(value) < 16 and _WORDS.fullmatch(value)):
        return ""
    if _NOT_SECRET.search(found.name) or is_placeholder(value):
        return ""
    if not found.quoted and _CODE.search(value):
        return ""
    if _IS_PASSWORD.search(found.name):
        return "password" if _is_password(found) else ""
    return "assigned_key" if _is_key(value) else ""


def _is_password(found: Assigned) -> bool:
    """Tell whether a value is a password a person would choose: more than letters, no name of a variable."""
    value = found.value
    if len(value) > 128 or value.startswith(("$", "/", "#", ".")) or "://" in value:
        return False
    digits = sum(char.isdigit() for char in value)
    letters = sum(char.isalpha() for char in value)
    if not letters:
        return digits >= 6 and not found.spoken and not is_regular(value)
    symbols = len(value) - digits - letters - value.count("_") - value.count("-") - value.count(".")
    if digits == 0:
        return symbols >= 1 and len(value) >= 8 and not found.spoken and value[0].isalnum()
    return entropy(value) >= 2.2 and not re.fullmatch(r"(?:[a-z]+_)+[a-z]*\d?|v?\d+(?:\.\d+)+\w*", value)


def _is_key(value: str) -> bool:
    """Tell whether a value is a key: long, of a key's characters, random."""
    if _UUID.fullmatch(value):
        return True
    return (
        len(value) >= 16
        and bool(_KEY_VALUE.fullmatch(value))
        and "://" not in value
        and not value.startswith("eyJ")
        and entropy(value) >= 3.0
        and is_mixed(value)
        and (not is_digest(value) or len(value) in (32, 40, 64))
    )
