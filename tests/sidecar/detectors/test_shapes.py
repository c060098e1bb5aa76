"""The table of shapes: ids once, weights that alert, heads long enough, floors that random values keep."""

import math
import random
import string

import re2

from sidecar.detectors.shapes import FREE, NAMED, RULES, TOKENS, expanded


def test_ids_are_unique_and_there_are_many() -> None:
    ids = [shape.id for shape in RULES]
    assert len(ids) == len(set(ids))
    assert len(ids) >= 150
    assert all(one.startswith("secrets.") for one in ids)


def test_every_secret_alerts_and_none_is_critical_alone() -> None:
    assert all(5 <= shape.weight < 15 for shape in RULES)


def test_every_shape_has_a_source_and_its_way_to_be_found() -> None:
    assert all(shape.source for shape in RULES)
    assert all(len(head) >= 3 for shape in TOKENS for head in shape.heads)
    assert all(shape.gate for shape in FREE)
    assert all(shape.names for shape in NAMED)


def test_no_head_stands_before_a_longer_one_of_another_shape() -> None:
    """Shapes are tried in order of TOKENS: sk- must not come before sk-ant-."""
    seen: list[tuple[str, str]] = []
    for shape in TOKENS:
        for head in shape.heads:
            assert [(old, one) for old, one in seen if head.startswith(old) and one != shape.id] == []
        seen += [(head, shape.id) for head in shape.heads]


def test_classes_are_written_out() -> None:
    assert re2.fullmatch(expanded("%a{3}%x%w"), "aZ0f-")
    assert all("%a" not in expanded(shape.pattern) for shape in RULES)


def test_random_values_keep_the_floor_of_entropy() -> None:
    """A value of 20 letters and digits falls below 3 bits per character less than once in ten thousand."""
    chance = random.Random(7)
    low = 0
    for _ in range(5000):
        value = chance.choices(string.ascii_letters + string.digits, k=20)
        low += -sum(value.count(c) / 20 * math.log2(value.count(c) / 20) for c in set(value)) < 3.0
    assert low == 0
