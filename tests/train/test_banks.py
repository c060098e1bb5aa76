"""The phrase banks that training texts are made of: readable, complete, and without repeats.

A language may be spread over several files; each file brings the slots that it uses.
"""

import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

BANKS = sorted((Path(__file__).parent / "banks").glob("*.yaml"))
LANGUAGES = sorted({path.stem.partition("_")[0] for path in BANKS})
SECTIONS = {"language", "slots", "attacks", "benign", "carriers"}
ATTACKS = {"override", "extraction", "jailbreak", "indirect", "exfiltration", "spoof", "agent"}
BENIGN = {"user", "near_miss", "roleplay", "system", "document", "tool_result"}
FURTHER_BENIGN = {"code", "security_discussion"}
INSERT = "insert"  # the place of an order inside a carrier


def load(path: Path) -> dict[str, Any]:
    bank = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(bank, dict), path
    return bank


def templates(bank: dict[str, Any]) -> Iterator[str]:
    """Yield every template of a bank. Slot values may use slots and are not among them."""
    for section in ("attacks", "benign"):
        for texts in bank.get(section, {}).values():
            yield from texts
    yield from bank.get("carriers", ())


def slots_in(text: str) -> set[str]:
    """Return the names in braces; a format or a conversion in them is a brace that was meant to be doubled."""
    found: set[str] = set()
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            assert name.isidentifier(), text
            assert (form, conversion) == ("", None), text
            found.add(name)
    return found


def of_language(language: str) -> list[dict[str, Any]]:
    return [load(path) for path in BANKS if path.stem.partition("_")[0] == language]


def test_there_are_banks() -> None:
    assert "en" in LANGUAGES


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_a_bank_has_the_form(path: Path) -> None:
    bank = load(path)
    assert set(bank) <= SECTIONS
    assert bank["language"] == path.stem.partition("_")[0]
    assert set(bank.get("attacks", {})) <= ATTACKS
    assert set(bank.get("benign", {})) <= BENIGN | FURTHER_BENIGN
    values = [value for texts in bank.get("slots", {}).values() for value in texts]
    wrong = [text for text in (*templates(bank), *values) if not isinstance(text, str) or not text.strip()]
    assert wrong == [], "quote what YAML takes for something else"


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_every_slot_exists(path: Path) -> None:
    bank = load(path)
    slots: dict[str, list[str]] = bank.get("slots", {})
    for text in (text for texts in slots.values() for text in texts):
        assert slots_in(text) <= set(slots), text
    carriers = bank.get("carriers", [])
    for text in templates(bank):
        allowed = {*slots, INSERT} if text in carriers else set(slots)
        assert slots_in(text) <= allowed, text
    assert [text for text in carriers if INSERT not in slots_in(text)] == []


def uses(slots: dict[str, list[str]], name: str) -> set[str]:
    """Return every slot that a slot's values may lead to."""
    found: set[str] = set()
    todo = [name]
    while todo:
        below = {used for text in slots[todo.pop()] for used in slots_in(text)}
        todo += below - found
        found |= below
    return found


@pytest.mark.parametrize("path", BANKS, ids=lambda path: path.stem)
def test_no_slot_leads_to_itself(path: Path) -> None:
    slots: dict[str, list[str]] = load(path).get("slots", {})
    assert [name for name in slots if name in uses(slots, name)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_template_stands_twice(language: str) -> None:
    counted = Counter(text for bank in of_language(language) for text in templates(bank))
    assert [text for text, times in counted.items() if times > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_family(language: str) -> None:
    banks = of_language(language)
    assert {name for bank in banks for name in bank.get("attacks", {})} >= ATTACKS
    if any("benign" in bank for bank in banks):  # written in the same go, or not yet
        assert {name for bank in banks for name in bank.get("benign", {})} >= BENIGN
