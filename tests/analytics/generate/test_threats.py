from importlib.resources import files

import numpy as np
import pytest
import yaml

from analytics.generate.chance import Chance
from analytics.generate.threats import FINDINGS, LADDER, LEAKS, TENTHS, Finding, digest, findings, of_campaign, rows
from sidecar.detectors.pii import RULES
from sidecar.detectors.shapes import FREE, NAMED, TOKENS


def _packs() -> dict[str, tuple[str, float]]:
    found = {}
    for name in ("prompt_injection", "jailbreak", "data_extraction", "indirect_injection", "exfiltration"):
        found |= _pack(name)
    return found | _pack("code_injection") | _pack("suspicious")


def _pack(name: str) -> dict[str, tuple[str, float]]:
    pack = yaml.safe_load((files("sidecar.detectors") / "packs" / f"{name}.yaml").read_text())
    return {rule["id"]: (rule["type"], float(rule["weight"])) for rule in pack["rules"]}


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.rule_id)
def test_rules_are_the_sidecars(finding: Finding) -> None:
    known = _packs()
    known |= {shape.id: ("secret_leak", shape.weight) for shape in (*TOKENS, *FREE, *NAMED)}
    known |= {kind.id: ("pii_leak", kind.weight) for kind in RULES}
    assert known[finding.rule_id] == (finding.type, pytest.approx(finding.tenths / 10, abs=0.051))


def test_the_place_for_none_weighs_nothing() -> None:
    assert (int(TENTHS[-1]), bool(LEAKS[-1])) == (0, False)
    assert len(TENTHS) == len(FINDINGS) + 1


def test_chances_are_kept_and_attacks_overrule_noise() -> None:
    none, some, always = np.zeros(10_000, dtype=np.int64), np.full(10_000, 100_000), np.full(10_000, 1_000_000)
    assert (findings(Chance(1), none, none) == -1).all()
    assert (findings(Chance(1), some, none) >= 0).mean() == pytest.approx(0.1, abs=0.01)
    met = {FINDINGS[place].rule_id for place in set(findings(Chance(1), always, always).tolist())}
    assert "pii.email" not in met
    assert "prompt_injection.override_prior" in met


def test_an_escalation_climbs_from_low_to_critical() -> None:
    steps = [of_campaign("escalation", 4, progress) for progress in range(100)]
    assert list(dict.fromkeys(steps)) == list(LADDER)
    scores = [FINDINGS[step].tenths for step in LADDER]
    assert scores == sorted(scores)
    assert (scores[0] < 50, scores[-1]) == (True, 150)


def test_campaigns_send_one_thing() -> None:
    assert {FINDINGS[of_campaign("leak", 1, progress)].type for progress in (0, 99)} == {"secret_leak"}
    assert {FINDINGS[of_campaign("takeover", 1, progress)].type for progress in (0, 99)} == {"data_extraction"}
    assert len({of_campaign("shared_prompt", number, 0) for number in range(3)}) == 3


def test_rows_carry_the_digest_first() -> None:
    first, second = rows((15, 0), 90, digest(1, 2))
    assert digest(1, 2) == digest(1, 2) != digest(2, 1)
    assert (first.position, first.type, first.score, first.confidence) == (0, "prompt_injection", 15.0, 0.9)
    assert (first.match_digest, len(second.match_digest)) == (digest(1, 2), 32)
    assert second.match_digest != first.match_digest
    assert first.span_end - first.span_start == first.match_chars
