"""Personal data in texts: addresses of e-mail, phones, bank accounts, cards, numbers of states, birth dates.

In: a View. Out: pii_leak Findings whose span is the value itself, so that redaction takes it and nothing else.
How: one set match over a few forms (runs of digits, @, capital letters with digits), then checksums decide. Text is read as
Latin-1 in windows, as in secrets.py.
Weights: people put their address into prompts all day, so personal data in a request never alerts alone
(scoring.PII_REQUEST_MAX); many values in an answer do.
Never: names of persons, keeping a match.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import re2

from sidecar.detectors.national import ALL_WORDS, ALONE, IDS, read, words_of
from sidecar.detectors.patterns import source_span
from sidecar.detectors.personal import TOLD, compiled, values
from sidecar.detectors.secrets import OVERLAP, WINDOW, options
from sidecar.types import Finding, ThreatType, View

SPANS_MAX = 256  # findings of one rule in one view
REACH = 256
_AROUND = 60  # code points in which a word tells what a number is
_AFTER = 24


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of personal data."""

    id: str
    weight: float
    source: str


@dataclass(frozen=True, slots=True)
class Datum:
    """A value in a text. start and end are offsets."""

    kind: str
    start: int
    end: int
    confidence: float = 1.0


_OTHERS = (
    Kind("pii.email", 0.75, "RFC 5321, RFC 5322"),
    Kind("pii.phone", 1.0, "ITU-T E.164; national numbering plans"),
    Kind("pii.iban", 2.5, "ISO 13616, mod 97 (python-stdnum iban)"),
    Kind("pii.payment_card", 3.0, "ISO/IEC 7812: issuer ranges, length, Luhn"),
    Kind("pii.ip_address", 0.5, "RFC 791, RFC 4291; addresses that are global (IANA registries)"),
)
RULES = (
    *_OTHERS,
    *{one.id: Kind(one.id, one.weight, one.source) for one in IDS}.values(),
    *(Kind(told.id, told.weight, told.source) for told in TOLD),
)
_WEIGHTS = {kind.id: kind.weight for kind in RULES}

_RUN = r"[+(]?\d(?:[ .\-/()]{0,3}\d){6,24}"
_CODE = (
    r"\b(?:[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]|[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d|[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]"
    r"|[A-Z]{5}\d{4}[A-Z]|[XYZ][- ]?\d{7}[- ]?[A-Z]|\d{8}[- ]?[A-Z]|\d{6}[-+A]\d{3}[0-9A-Y]|\d{7}[A-W][ABHW]?|\d{17}X"
    r"|\d{1,2}\.\d{3}\.\d{3}-[kK]"
    r"|[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d|[12] ?\d\d ?\d\d ?2[AB] ?\d{3} ?\d{3} ?\d\d)\b"
)
_EMAIL = r"[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b"
_IBAN = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
_IP = r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b"
_GATES = (
    r"[A-Za-z0-9]@[A-Za-z0-9]",
    r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]",
    r"[0-9][ .\-/()]*[0-9][ .\-/()]*[0-9][ .\-/()]*[0-9][ .\-/()]*[0-9][ .\-/()]*[0-9][ .\-/()]*[0-9]",
    r"[A-Z][0-9]{2}[A-Z]|[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2}|[0-9]{4}[A-Z]|[0-9]{7}[- ]?[A-Z]|[A-Z][0-9]{6}[HM]"
    r"|[+A-][0-9]{3}[A-Y]|[0-9]-[kK]"
    r"|[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}[0-9]",
    r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9a-fA-F]:[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:",
)
# Issuer ranges: Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay (ISO/IEC 7812, the schemes' rules).
_CARD = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|6(?:011|5\d\d"
    r"|4[4-9]\d)\d{12}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
_CARD_WORDS = words_of(
    r"card|carte|karte|tarjeta|carta|visa|master|amex|american express|discover|\bcc\b|\bpan\b|credit|cr[eé]dit|kredit"
    r"|cvv|cvc|expir"
)
_CARD_GROUPS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{4,5}")
_PHONE_WORDS = words_of(
    r"\b(?:tele)?phone|\btel\b|t[eé]l[eé](?:phone|fono)|telefon|\bcall|mobile|\bcell|\bfax|whatsapp|\bsms\b|text me"
    r"|reach (?:me|us|him|her)"
    r"|portable ?:|mon portable|\bappel|joindre|\bhandy|anruf|\bruf|m[oó]vil|ll[aá]m|chiam|numero di|contact"
)
_INTERNATIONAL = re.compile(r"(?:\+|00)[1-9]\d{0,2}[ .\-/()]{0,2}\d[\d .\-/()]{5,18}\d")
_PHONE_FORMS = re.compile(
    r"\(\d{3}\) ?\d{3}[-. ]\d{4}|\d{3}-\d{3}-\d{4}|0[1-9](?:([ .-])\d\d)(?:\1\d\d){3}|07\d{3} \d{6}"
    r"|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}"
)
_NOT_BEFORE = re.compile(rb"[\w.$#/%\xa3-]")
_NOT_AFTER = re.compile(rb"\w|[.,:-]\d|%")
_TELLING = words_of(f"{ALL_WORDS}|{_PHONE_WORDS.pattern.decode('latin-1')}")
_BARE_MIN = 13  # digits of a number that counts without a word: cards, and what has a form of its own
_VERSION = re.compile(r"(?:\bv|version|release|section|chapter|rfc)\.? ?$", re.IGNORECASE)


class PiiDetector:
    """All kinds as one detector. Safe to call from several threads."""

    def __init__(self, name: str) -> None:
        """Compile every form. Raises: re2.error for one that RE2 refuses."""
        self.name = name
        self.RULES = RULES
        made = options(8 << 20)
        self._email, self._iban, self._run, self._code, self._ip = (
            re2.compile(pattern.encode("latin-1"), made) for pattern in (_EMAIL, _IBAN, _RUN, _CODE, _IP)
        )
        told = (_told(one.id, compiled(one, made)) for one in TOLD)
        self._readers: list[Callable[[bytes], Iterator[Datum]]] = [
            *(self._emails, self._ibans, self._runs, self._codes, self._addresses),
            *told,
        ]
        self._set = re2.Set.SearchSet(options(16 << 20))
        for gate in (*_GATES, *(one.gate for one in TOLD)):
            self._set.Add(gate.encode("latin-1"))
        self._set.Compile()

    def detect(self, view: View) -> tuple[Finding, ...]:
        """Return the personal data in a view, none within another.

        Bounds: one linear pass, plus one per form that turned up in a window.
        """
        data = view.text.encode("latin-1", "replace")
        found: list[Datum] = []
        for at in range(0, max(1, len(data) - OVERLAP), WINDOW):
            if hits := self._set.Match(data[at : at + WINDOW + OVERLAP]):
                part = data[at : at + WINDOW + OVERLAP + REACH]
                for index in sorted(hits):
                    for datum in self._readers[index](part):
                        if datum.start >= WINDOW + OVERLAP:
                            break
                        found.append(Datum(datum.kind, at + datum.start, at + datum.end, datum.confidence))
        return tuple(self._finding(view, datum) for datum in _apart(found)) if found else ()

    def _finding(self, view: View, datum: Datum) -> Finding:
        span = source_span(view, datum.start, datum.end)
        weight = _WEIGHTS[datum.kind]
        return Finding(ThreatType.PII_LEAK, self.name, datum.kind, span, weight, datum.confidence, view.kind)

    def _emails(self, data: bytes) -> Iterator[Datum]:
        for match in self._email.finditer(data):
            if not match[0].startswith((b"git@", b"noreply@", b"no-reply@")) and not match[0].endswith(b".invalid"):
                yield Datum("pii.email", *match.span())

    def _ibans(self, data: bytes) -> Iterator[Datum]:
        from stdnum import iban

        for match in self._iban.finditer(data):
            text = match[0].decode("latin-1")
            while text and not iban.is_valid(text, check_country=False):
                text = text.rpartition(" ")[0]
            if text:
                yield Datum("pii.iban", match.start(), match.start() + len(text))

    def _addresses(self, data: bytes) -> Iterator[Datum]:
        for match in self._ip.finditer(data):
            before = data[max(0, match.start() - 10) : match.start()].decode("latin-1")
            if _is_global(match[0].decode("latin-1")) and not _VERSION.search(before) and before[-1:] not in ("-", "."):
                yield Datum("pii.ip_address", *match.span())

    def _codes(self, data: bytes) -> Iterator[Datum]:
        """Yield numbers that hold letters."""
        for match in self._code.finditer(data):
            if datum := _national(data, *match.span()):
                yield datum

    def _runs(self, data: bytes) -> Iterator[Datum]:
        """Yield what runs of digits are: a card, a number of a state, a phone.

        Short bare numbers count only beside a word; without any in the whole window they need no look of their own.
        """
        told: bool | None = None
        for match in self._run.finditer(data):
            start, end = match.span()
            if end - start < _BARE_MIN and data[start:end].isdigit():
                told = _TELLING.search(data) is not None if told is None else told
                if not told:
                    continue
            if _NOT_BEFORE.match(data[start - 1 : start] if start else b"") or _NOT_AFTER.match(data[end : end + 2]):
                continue
            datum = _card(data, start, end) or _national(data, start, end) or _phone(data, start, end)
            if datum:
                yield datum


def _told(kind: str, pattern: re2._Regexp) -> Callable[[bytes], Iterator[Datum]]:
    def read(data: bytes) -> Iterator[Datum]:
        for start, end in values(pattern, data):
            yield Datum(kind, start, end)

    return read


def _near(data: bytes, start: int, end: int) -> bytes:
    """Return the words around a value."""
    return data[max(0, start - _AROUND) : start] + b" " + data[end : end + _AFTER]


def _card(data: bytes, start: int, end: int) -> Datum | None:
    raw = data[start:end].decode("latin-1")
    number = re.sub(r"[ -]", "", raw)
    if not _CARD.fullmatch(number) or not _luhn(number) or len(set(number)) < 2:
        return None
    sure = _CARD_GROUPS.fullmatch(raw) or _CARD_WORDS.search(_near(data, start, end))
    if sure or (raw == number and len(number) in (15, 16)):
        return Datum("pii.payment_card", start, end, 1.0 if sure else ALONE)
    return None


def _luhn(number: str) -> bool:
    """Tell whether a number keeps Luhn's checksum (ISO/IEC 7812-1, annex B)."""
    digits = [int(char) for char in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _national(data: bytes, start: int, end: int) -> Datum | None:
    kind = read(data[start:end].decode("latin-1"), _near(data, start, end))
    return Datum(kind[0].id, start, end, kind[1]) if kind else None


def _phone(data: bytes, start: int, end: int) -> Datum | None:
    raw = data[start:end].decode("latin-1")
    digits = len(raw.encode().translate(None, b" +()-./"))
    if not 7 <= digits <= 15 or _is_date(raw):
        return None
    told = _PHONE_WORDS.search(_near(data, start, end)) is not None
    if _INTERNATIONAL.fullmatch(raw) and digits >= 8 and (told or raw.startswith("+")):
        return Datum("pii.phone", start, end)
    if _PHONE_FORMS.fullmatch(raw):
        return Datum("pii.phone", start, end, 1.0 if told else ALONE)
    if told and 8 <= digits <= 11 and raw[0] in "0(123456789":
        return Datum("pii.phone", start, end)
    return None


_DATES = re.compile(
    r"(?:19|20)\d\d[ ./-]?[01]\d[ ./-]?[0-3]\d(?:\D?\d+)*|[0-3]?\d[./-][01]?\d[./-](?:19|20)\d\d.*|(?:19|20)\d\d[ -/]+(?:19|20)\d\d"
)


def _is_date(raw: str) -> bool:
    return bool(_DATES.fullmatch(raw))


def _is_global(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


def _apart(found: list[Datum]) -> list[Datum]:
    """Return the data in order, at most SPANS_MAX of a kind; of two that overlap the longer, then the one found first."""
    kept: list[Datum] = []
    counts: dict[str, int] = {}
    for datum in sorted(found, key=lambda datum: (datum.start, datum.start - datum.end)):
        if kept and datum.start < kept[-1].end:
            if datum.end - datum.start > kept[-1].end - kept[-1].start:
                kept[-1] = datum
            continue
        counts[datum.kind] = counts.get(datum.kind, 0) + 1
        if counts[datum.kind] <= SPANS_MAX:
            kept.append(datum)
    return kept
