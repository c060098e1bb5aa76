"""The contract's enums are the glossary's words (STYLE 4: the same thing has the same name everywhere)."""

from enum import StrEnum
from typing import Any

import pytest
from douane.v1 import decision_pb2 as pb

from sidecar import types

# The contract knows one word more: a record says when masking failed, a setting cannot ask for it.
ONLY_IN_RECORDS = {"ContentCapture": {"erased"}}
PAIRS: tuple[tuple[type[StrEnum], Any], ...] = (
    (types.Surface, pb.Surface),
    (types.ThreatType, pb.ThreatType),
    (types.RiskLevel, pb.RiskLevel),
    (types.Action, pb.Action),
    (types.Mode, pb.Mode),
    (types.FailureKind, pb.FailureKind),
    (types.UnscannedReason, pb.UnscannedReason),
    (types.Outcome, pb.Outcome),
    (types.ContentCapture, pb.ContentCapture),
)


@pytest.mark.parametrize(("ours", "contract"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_enum_has_the_words_of_the_glossary(ours: type[StrEnum], contract: Any) -> None:
    prefix = contract.Name(0).removesuffix("UNSPECIFIED")
    words = {name.removeprefix(prefix).lower() for name in contract.keys()}  # noqa: SIM118 - no mapping of Python's
    assert words == {item.value for item in ours} | {"unspecified"} | ONLY_IN_RECORDS.get(ours.__name__, set())


def test_every_enum_of_the_glossary_is_compared() -> None:
    every = {value for value in vars(types).values() if isinstance(value, type) and issubclass(value, StrEnum)}
    assert every - {StrEnum} == {ours for ours, _ in PAIRS}


def test_every_enum_starts_unspecified() -> None:
    for enum in pb.DESCRIPTOR.enum_types_by_name.values():
        assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
