"""Texts for training, made from the phrase banks: family x carrier x language x disguise.

In: tests/train/banks/*.yaml and a seed. Out: Samples, the same for the same seed and banks.
Why: what a detector learns from a few public collections does not carry over to others; variety of what it is shown does
(tests/train/README.md has the numbers). Every sentence of the banks was written for this project.
Never: text from elsewhere, an attack in a benign sample.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

BANKS = Path(__file__).parent / "banks"
# How many samples a template gives: more where slots make more texts.
PER_ATTACK, PER_BENIGN, PER_PLAIN = 8, 10, 1
_SLOT = re.compile(r"(?<!\{)\{([a-z_0-9]+)\}(?!\})")
_DEEP = 6
# The surface where a family's texts arrive when nothing carries them.
SURFACES = {"document": "document", "tool_result": "tool_result", "system": "system", "code": "document"}
# Which threat a family is (sidecar.types.ThreatType).
TYPES = {
    "override": "prompt_injection",
    "extraction": "data_extraction",
    "jailbreak": "jailbreak",
    "indirect": "indirect_injection",
    "exfiltration": "exfiltration",
    "spoof": "prompt_injection",
    "agent": "unsafe_tool_call",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A text to learn from. planted: an attack with harmless text around it."""

    text: str
    attack: bool
    family: str
    language: str
    surface: str
    planted: bool = False


@dataclass(frozen=True, slots=True)
class Bank:
    """What one language's files hold together. Shape: family -> templates; slots: name -> phrases."""

    language: str
    slots: Mapping[str, Sequence[str]]
    attacks: Mapping[str, Sequence[str]]
    benign: Mapping[str, Sequence[str]]
    carriers: Sequence[str]


def load_banks(folder: Path = BANKS) -> tuple[Bank, ...]:
    """Return the banks in the order of their file names; each file keeps its own slots.

    Raises: KeyError for a file without `language`.
    """
    return tuple(_bank(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.yaml")))


def _bank(raw: Mapping[str, object]) -> Bank:
    get = raw.get
    return Bank(
        str(raw["language"]), get("slots") or {}, get("attacks") or {}, get("benign") or {}, get("carriers") or ()
    )  # type: ignore[arg-type]


def filled(template: str, slots: Mapping[str, Sequence[str]], chance: random.Random) -> str:
    """Return a template with every slot filled; slots may use slots.

    Raises: KeyError for a slot that does not exist.
    """
    for _ in range(_DEEP):
        if not _SLOT.search(template):
            break
        template = _SLOT.sub(lambda match: str(chance.choice(slots[match[1]])), template)
    return template.replace("{{", "{").replace("}}", "}")


def generate(seed: int = 1, banks: Sequence[Bank] | None = None) -> Iterator[Sample]:
    """Yield the samples of all banks."""
    banks = load_banks() if banks is None else banks
    by_language: dict[str, list[Bank]] = {}
    for bank in banks:
        by_language.setdefault(bank.language, []).append(bank)
    for number, bank in enumerate(banks):
        chance = random.Random(f"{seed}-{number}-{bank.language}")
        ordinary = _Ordinary(by_language[bank.language], chance)
        yield from _attacks(bank, ordinary, chance)
        yield from _benign(bank, ordinary, chance)


class _Ordinary:
    """Benign sentences and documents of a language, to stand around attacks."""

    def __init__(self, banks: Sequence[Bank], chance: random.Random) -> None:
        self.chance = chance
        self.users = [(b, t) for b in banks for t in b.benign.get("user", ())]
        self.documents = [
            (b, t) for b in banks for family in ("document", "tool_result") for t in b.benign.get(family, ())
        ]
        self.carriers = [(b, t) for b in banks for t in b.carriers]

    def sentence(self) -> str:
        return self._one(self.users)

    def document(self) -> str:
        return self._one(self.documents)

    def carrier(self) -> str:
        return self._one(self.carriers, keep="insert")

    def _one(self, choices: list[tuple[Bank, str]], keep: str = "") -> str:
        if not choices:
            return ""
        bank, template = self.chance.choice(choices)
        slots = {**bank.slots, keep: ["\0"]} if keep else bank.slots
        return filled(template, slots, self.chance)


def _attacks(bank: Bank, ordinary: _Ordinary, chance: random.Random) -> Iterator[Sample]:
    for family, templates in bank.attacks.items():
        planted = family in ("indirect", "exfiltration", "spoof", "agent")
        for template in templates:
            many = PER_ATTACK if _SLOT.search(template) else PER_PLAIN
            for text in dict.fromkeys(filled(template, bank.slots, chance) for _ in range(many)):
                yield _attack(text, family, bank.language, chance)
                if planted and chance.random() < 0.5:
                    yield Sample(_plant(text, ordinary, chance), True, family, bank.language, "tool_result", True)
                elif chance.random() < 0.25:
                    yield Sample(_beside(text, ordinary, chance), True, family, bank.language, "user", True)


def _attack(text: str, family: str, language: str, chance: random.Random) -> Sample:
    surface = chance.choice(("tool_result", "document")) if family == "indirect" else "user"
    return Sample(_rough(text, chance), True, family, language, surface)


def _beside(text: str, ordinary: _Ordinary, chance: random.Random) -> str:
    """Return an attack before or behind something harmless."""
    join = chance.choice((" ", "\n", "\n\n", ". "))
    pair = [ordinary.sentence(), _rough(text, chance)]
    if chance.random() < 0.3:
        pair.reverse()
    return join.join(pair)


def _plant(text: str, ordinary: _Ordinary, chance: random.Random) -> str:
    """Return a document with an attack in it."""
    carrier = ordinary.carrier() if chance.random() < 0.7 else ""
    if carrier:
        return carrier.replace("\0", text)
    document = ordinary.document()
    cuts = [match.end() for match in re.finditer(r"[.!?。！？।]\s|\n", document)] or [len(document)]
    cut = chance.choice([0, len(document), *cuts])
    join = chance.choice((" ", "\n", "\n\n"))
    return f"{document[:cut].rstrip()}{join}{text}{join}{document[cut:].lstrip()}".strip()


def _benign(bank: Bank, ordinary: _Ordinary, chance: random.Random) -> Iterator[Sample]:
    for family, templates in bank.benign.items():
        surface = SURFACES.get(family, "user")
        for template in templates:
            many = PER_BENIGN if _SLOT.search(template) else PER_PLAIN
            for text in dict.fromkeys(filled(template, bank.slots, chance) for _ in range(many)):
                yield Sample(_rough(text, chance), False, family, bank.language, surface)
                if chance.random() < 0.2:
                    other = ordinary.sentence() if surface == "user" else ordinary.document()
                    yield Sample(f"{text}\n{other}", False, family, bank.language, surface)
    for _ in range(PER_BENIGN * len(bank.carriers)):
        yield Sample(ordinary.carrier().replace("\0", ""), False, "carrier", bank.language, "document")


def _rough(text: str, chance: random.Random) -> str:
    """Return a text as people type: now and then in capitals, without a full stop, with two letters swapped."""
    dice = chance.random()
    if dice < 0.03:
        return text.upper()
    if dice < 0.1:
        return text.rstrip(".!。")
    if dice < 0.14 and len(text) > 12:
        at = chance.randrange(1, len(text) - 2)
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text
