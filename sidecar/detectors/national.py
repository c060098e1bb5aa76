"""Numbers that states give to persons, as data: how each is written, which checksum it keeps, which words stand near it.

In: nothing. Out: IDS, in the order they are tried, and `holds` for the checksum.
A number of bare digits counts only beside a word of its own; one with a form of its own counts alone, but for less.
Never: imports a checksum before a number of its form turned up (python-stdnum has 300 modules).

Source: python-stdnum 2.2 for the checksums, whose modules name the law or office behind each; forms as their offices print
them. UK NINO: HMRC NIM39110; German identity card: ICAO 9303-3 check digit; Australian Medicare: METeOR 270101.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import re2

WEIGHT = 3.0
ALONE = 0.6  # confidence of a number without a word beside it


@dataclass(frozen=True, slots=True)
class Id:
    """One kind of number. module is of stdnum, or a function of ours; alone tells that its form is enough."""

    id: str
    form: re.Pattern[str]
    module: str
    words: re2._Regexp
    alone: bool
    source: str
    weight: float = WEIGHT


def words_of(pattern: str) -> re2._Regexp:
    """Return the pattern of words that stand near a number, for texts read as Latin-1."""
    made = re2.Options()
    made.encoding = re2.Options.Encoding.LATIN1
    made.case_sensitive = False
    made.never_capture = True
    return re2.compile(pattern.encode("latin-1"), made)


def _id(name: str, form: str, module: str, words: str, alone: bool = False) -> Id:
    source = f"python-stdnum {module}" if "." in module else f"{_OWN_SOURCES[module]}"
    return Id(f"pii.{name}", re.compile(form), module, words_of(words), alone, source)


def _mod10_medicare(number: str) -> bool:
    weights = (1, 3, 7, 9, 1, 3, 7, 9)
    return sum(int(digit) * weight for digit, weight in zip(number[:8], weights, strict=True)) % 10 == int(number[8])


def _icao(number: str) -> bool:
    """The check digit of machine readable documents: weights 7, 3, 1; letters count from 10."""
    values = [int(char, 36) for char in number]
    return sum(value * (7, 3, 1)[i % 3] for i, value in enumerate(values[:-1])) % 10 == values[-1]


def _nino(number: str) -> bool:
    return number[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


_OWN: dict[str, Callable[[str], bool]] = {"medicare": _mod10_medicare, "icao": _icao, "nino": _nino}
_OWN_SOURCES = {
    "medicare": "METeOR 270101 (Medicare card number)",
    "icao": "ICAO 9303-3 check digit",
    "nino": "HMRC NIM39110",
}
_S = r"[ .\-]?"  # what may stand between groups


# fmt: off
IDS = (
    _id("fr_nir", rf"[12]{_S}\d\d{_S}\d\d{_S}(?:\d\d|2[AB]){_S}\d{{3}}{_S}\d{{3}}{_S}\d\d", "fr.nir",
        r"s[eé]curit[eé] sociale|\bnir\b|\bnss\b|insee|vitale|assur[eé]", True),
    _id("it_codice_fiscale", r"[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]", "it.codicefiscale", r"codice fiscale"
        r"|\bc\.?f\.?\b", True),
    _id("mx_curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", "mx.curp", r"curp", True),
    _id("cn_resident_id", r"[1-9]\d{16}[\dX]", "cn.ric", r"resident|shenfen|id card|identity", True),
    _id("ch_ahv", r"756\.?\d{4}\.?\d{4}\.?\d\d", "ch.ssn", r"\bahv|\bavs\b|sozialversicherung", True),
    _id("us_itin", r"9\d\d-\d\d-\d{4}", "us.itin", r"itin|taxpayer", True),
    _id("us_ssn", r"\d{3}-\d\d-\d{4}", "us.ssn", r"\bssn|social security|soc\.? sec", True),
    _id("us_ssn", r"\d{3} ?\d\d ?\d{4}", "us.ssn", r"\bssn|social security|soc\.? sec"),
    _id("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", "br.cpf", r"\bcpf\b", True),
    _id("br_cpf", r"\d{11}", "br.cpf", r"\bcpf\b"),
    _id("br_cnpj", r"\d\d\.?\d{3}\.?\d{3}/?\d{4}-?\d\d", "br.cnpj", r"\bcnpj\b"),
    _id("es_nie", r"[XYZ][- ]?\d{7}[- ]?[A-Z]", "es.nie", r"\bnie\b|extranjero", True),
    _id("es_dni", r"\d{8}[- ]?[A-HJ-NP-TV-Z]", "es.dni", r"\bdni\b|\bnif\b|documento nacional|identidad", True),
    _id("uk_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", "nino", r"national insurance|\bnino\b"
        r"|\bni (?:no|num)", True),
    _id("uk_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs", r"\bnhs\b|health service"),
    _id("kr_rrn", r"\d{6}-\d{7}", "kr.rrn", r"\brrn\b|resident registration|jumin", True),
    _id("fi_hetu", r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu", r"hetu|henkil", True),
    _id("cl_rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", "cl.rut", r"\brut\b|\brun\b", True),
    _id("be_national_number", r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", "be.nn", r"rijksregister|national|registre", True),
    _id("be_national_number", r"\d{6}[- ]?\d{3}[- ]?\d\d", "be.nn", r"rijksregister|registre national|national number"
        r"|\bniss\b|\binsz\b"),
    _id("se_personnummer", r"(?:\d{2})?\d{6}[-+]\d{4}", "se.personnummer", r"personnummer|personal (?:identity )?number"
        r"|\bpnr\b", True),
    _id("dk_cpr", r"\d{6}-?\d{4}", "dk.cpr", r"\bcpr\b|personnummer"),
    _id("in_aadhaar", r"[2-9]\d{3} ?\d{4} ?\d{4}", "in_.aadhaar", r"aadhaar|aadhar|uidai"),
    _id("in_pan", r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", "in_.pan", r"\bpan\b|permanent account|income tax"),
    _id("ca_sin", r"\d{3}[- ]?\d{3}[- ]?\d{3}", "ca.sin", r"\bsin\b|social insurance|assurance sociale|\bnas\b"),
    _id("nl_bsn", r"\d{4}[. ]?\d\d[. ]?\d{3}|\d{9}", "nl.bsn", r"\bbsn\b|burgerservice|sofinummer"),
    _id("au_tfn", r"\d{3} ?\d{3} ?\d{2,3}", "au.tfn", r"\btfn\b|tax file"),
    _id("au_medicare", r"[2-6]\d{3} ?\d{5} ?\d(?:[ /-]?\d)?", "medicare", r"medicare"),
    _id("de_tax_id", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", "de.idnr", r"steuer|\bid-?nr|\btin\b|tax id"),
    _id("de_identity_card", r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d", "icao", r"ausweis|identity card|\bid card"),
    _id("pl_pesel", r"\d{11}", "pl.pesel", r"pesel"),
    _id("no_fodselsnummer", r"\d{6} ?\d{5}", "no.fodselsnummer", r"f[oø]dselsnummer|personnummer"),
    _id("tr_tckimlik", r"[1-9]\d{10}", "tr.tckimlik", r"kimlik|\bt\.?c\.? "),
    _id("pt_nif", r"[1235689]\d{2}[ .]?\d{3}[ .]?\d{3}", "pt.nif", r"\bnif\b|contribuinte"),
    _id("at_vnr", r"\d{4} ?\d{6}", "at.vnr", r"sozialversicherung|\bsvnr|\bsv-?nummer|versicherungsnummer"),
    _id("ro_cnp", r"[1-8]\d{12}", "ro.cnp", r"\bcnp\b|numeric personal"),
    _id("za_id", r"\d{6} ?\d{4} ?\d{3}", "za.idnr", r"\b(?:sa |south african )?id(?:entity)? (?:no|num)|south african id"),
    _id("il_id", r"\d{9}", "il.idnr", r"teudat|israeli? id"),
    _id("cz_birth_number", r"\d{6}/?\d{3,4}", "cz.rc", r"rodn[eé]|birth number"),
    _id("ie_pps", r"\d{7}[A-W][ABHW]?", "ie.pps", r"\bpps"),
)
# fmt: on


@cache
def _check(module: str) -> Callable[[str], bool]:
    own = _OWN.get(module)
    if own is not None:
        return own
    found: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    return found


ALL_WORDS = "|".join(sorted({one.words.pattern.decode("latin-1") for one in IDS}))
_ANY_WORD = words_of(ALL_WORDS)
_ALONE = re.compile("|".join(f"(?:{one.form.pattern})" for one in IDS if one.alone))


def read(number: str, near: bytes) -> tuple[Id, float] | None:
    """Return what kind a number is, and how sure the words near it make us; None for none."""
    told = _ANY_WORD.search(near) is not None
    if not told and not _ALONE.fullmatch(number):
        return None
    for kind in IDS:
        if kind.form.fullmatch(number):
            named = told and kind.words.search(near) is not None
            if (named or kind.alone) and holds(kind, number):
                return kind, 1.0 if named else ALONE
    return None


def holds(kind: Id, number: str) -> bool:
    """Tell whether a number keeps the checksum and the ranges of its kind."""
    plain = re.sub(r"[ .\-/]", "", number) if kind.module in _OWN else number
    return _check(kind.module)(plain)
