"""Personal data that only the words around it give away: passports, licences, birth dates, postal addresses.

In: a text. Out: (rule, start, end) of what is personal. English, French, German, Spanish, Italian.
RE2 on a window; the value is the pattern's group, so that the words around it stay.
Never: names of persons (that needs more than patterns), dates without a word of birth beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import re2


@dataclass(frozen=True, slots=True)
class Told:
    """One kind of data with its pattern; group 1 is the value. gate is what every text with a match holds."""

    id: str
    gate: str
    pattern: str
    source: str
    weight: float


_MONTHS = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|f(?:e|\xe9)v|avr|mai|juin|juil|ao(?:u|\xfb)|d(?:e|\xe9)c|m(?:a"
    r"|\xe4)r|okt|dez"
    r"|ene|abr|ago|dic|gen|mag|giu|lug|set|ott)[a-z\xe9\xfb\xe4]{0,8}\.?"
)
_DATE = (
    r"(?:\d{1,2}[./ -]\d{1,2}[./ -](?:19|20)?\d{2}|(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:er|st|nd|rd|th|\.)?(?: de)? {_MONTHS},?(?: de)? (?:19|20)\d{{2}}|{_MONTHS} \d{{1,2}}(?:st|nd|rd"
    rf"|th)?,? (?:19|20)\d{{2}})"
)
_BIRTH = (
    r"(?:date of birth|birth ?date|\bdob\b|i was born(?: on)?|birthday(?: is)?|date de naissance|n(?:e|\xe9)e? le"
    r"|geburtsdatum|geboren am"
    r"|geb\.|fecha de nacimiento|nacid[oa] el|data di nascita|nat[oa] il)"
)
_PASSPORT = r"(?:passport|passeport|reisepass(?:nummer)?|pasaporte|passaporto)"
_LICENCE = (
    r"(?:driv(?:er'?s?|ing) licen[cs]e|permis de conduire|f(?:ue|\xfc)hrerschein(?:nummer)?"
    r"|(?:carnet|permiso) de conducir|patente(?: di guida)?)"
)
_LINK = (
    r"(?: (?:number|no|num(?:e|\xe9)ro|nummer|is|est|ist|es|\xe8))*\s{0,2}(?:(?:n[o\xb0\xba]|nr|#)?\.?\s{0,2}:?)\s{0,3}"
)
_PLACE = r"[A-Z\xc0-\xd6][\w\xc0-\xff'-]+"

# Source: forms of the issuing offices (ICAO 9303 for passports), postal addressing as in UPU S42; dates as people write them.
TOLD = (
    Told(
        "pii.passport",
        rf"(?i){_PASSPORT}",
        rf"(?i){_PASSPORT}{_LINK}([A-Z]{{0,2}}\d{{6,9}}[A-Z]?|\d\d[A-Z]{{2}}\d{{5}}"
        rf"|[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{{8}})\b",
        "ICAO 9303-4, document numbers",
        2.0,
    ),
    Told(
        "pii.driving_licence",
        rf"(?i){_LICENCE}",
        rf"(?i){_LICENCE}{_LINK}([A-Z0-9]{{0,5}}[ -]?\d{{4}}[A-Z0-9 -]{{2,12}}[A-Z0-9])\b",
        "forms of national licence numbers",
        2.0,
    ),
    Told(
        "pii.date_of_birth",
        rf"(?i){_BIRTH}",
        rf"(?i){_BIRTH}(?: (?:is|est|ist|es|\xe8|war|was))?[\"']?\s{{0,2}}[:=]?\s{{0,3}}[\"']?({_DATE})\b",
        "GDPR article 4(1)",
        1.0,
    ),
    Told(
        "pii.address",
        r"(?i)[0-9][a-z]?,?\s{1,2}[0-9]{4,5}\s|\s(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court"
        r"|way|place|square|close)\b"
        r"|[0-9],? (?:bis |ter )?(?:rue|avenue|bd|boulevard|place|chemin|all|impasse|quai|route|cours)\b|[0-9],? ?[0-9]{5} ",
        r"\b(\d{1,5}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][A-Za-z'.-]+ ){1,4}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr"
        r"|Boulevard|Blvd|Court|Ct"
        r"|Way|Place|Pl|Square|Terrace|Close)\b\.?[^\n]{0,40}?(?:\b[A-Z]{2} \d{5}(?:-\d{4})?|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}))\b"
        r"|\b(\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|bd|boulevard|place|chemin|all\xe9e|impasse|quai|route"
        r"|cours) [^\n\d]{2,50}\d{5} "
        rf"{_PLACE})"
        r"|\b([A-Z\xc4\xd6\xdc][\w\xc0-\xff-]*(?:stra(?:\xdf|ss)e|str\.|weg|platz|allee|gasse|ring|damm"
        r"|ufer) \d{1,4} ?[a-z]?,? {0,2}(?:D-)?\d{5} "
        rf"{_PLACE})"
        r"|\b((?:Calle|C/|Avenida|Avda?\.?|Plaza|Paseo|Carrer|Via|Viale|Piazza|Corso"
        r"|Largo) [^\n\d]{2,50}\d{1,4}[^\n\d]{0,20}\d{5},? "
        rf"{_PLACE})",
        "UPU S42, postal addressing",
        1.5,
    ),
)


def compiled(told: Told, options: re2.Options) -> re2._Regexp:
    """Return the pattern of a kind, for texts read as Latin-1."""
    return re2.compile(told.pattern.encode("latin-1"), options)


def values(pattern: re2._Regexp, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the values of a kind stand in a text."""
    for match in pattern.finditer(data):
        group = next(number for number in range(1, pattern.groups + 1) if match.start(number) >= 0)
        yield match.span(group)
