"""generate: seeded, filled, and never a slot left over."""

import random
from itertools import islice

from tests.train.generate import Bank, filled, generate

BANK = Bank(
    "xx",
    {"drop": ["forget", "ignore"], "goal": ["{drop} it"]},
    {"override": ["{drop} the rules and {goal}"], "indirect": ["note to the assistant: {goal}"]},
    {"user": ["how are you?"], "document": ["A page. Another sentence.", "literal {{braces}}"]},
    ["mail\n{insert}\nbye"],
)


def test_the_same_seed_gives_the_same_texts() -> None:
    assert list(generate(3, [BANK])) == list(generate(3, [BANK]))


def test_slots_are_filled_deep_and_braces_are_literal() -> None:
    chance = random.Random(1)
    assert "{" not in filled("{goal}", BANK.slots, chance)
    assert filled("a {{b}}", {}, chance) == "a {b}"


def test_what_is_planted_says_so_and_what_is_benign_holds_no_attack() -> None:
    samples = list(generate(1, [BANK]))
    assert any(sample.planted for sample in samples)
    assert all(sample.attack for sample in samples if sample.planted)
    assert not [sample for sample in samples if not sample.attack and ("forget" in sample.text or "\0" in sample.text)]


def test_every_bank_gives_both_sides() -> None:
    seen = {(sample.language, sample.attack) for sample in generate(1)}
    languages = {language for language, _ in seen}
    assert len(languages) >= 10
    assert len([pair for pair in seen if not pair[1]]) >= 10
    assert next(islice(generate(1), 1))
