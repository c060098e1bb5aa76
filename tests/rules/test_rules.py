"""Rules are tested as data: each rule has a file here with texts that must raise it and texts that must not.

A text may hold {base62:40}, {hex:32} and what else ALPHABETS names, {uuid}, {jwt}, {valid:iban} or {blank}: filled in at
run time, so that no secret scanner finds a secret in this repository. Cases run through scan_segment, as texts in production do.
"""

import base64
import json
import random
import re
import string
import time
from pathlib import Path

import msgspec
import pytest
import yaml

from sidecar.detectors import DETECTORS, load_rules, scan_segment
from sidecar.detectors.patterns import INNOCENT
from sidecar.types import Finding, Segment, Surface

FOLDER = Path(__file__).parent
ALPHABETS = {
    "base62": string.ascii_letters + string.digits,
    "base32": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "alnum": string.ascii_lowercase + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "bech32": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}
WEIGHTS = {rule.id: rule.weights for rule in load_rules()}
RULE_IDS = [(detector.name, rule.id) for detector in DETECTORS for rule in detector.RULES]


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """A text, where it stands, and why it is here."""

    text: str
    why: str
    surface: Surface = Surface.USER


class Cases(msgspec.Struct, forbid_unknown_fields=True):
    """The file of a rule."""

    must_fire: list[Case]
    must_not_fire: list[Case]


def cases_of(detector: str, rule_id: str) -> Cases:
    text = (FOLDER / detector / f"{rule_id}.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Cases)


def filled(text: str) -> str:
    chance = random.Random(text)
    text = text.replace("{blank}", " ").replace("{uuid}", "{hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}")
    text = re.sub(r"\{jwt\}", lambda _: jwt(chance), text)
    return re.sub(
        r"\{(" + "|".join(ALPHABETS) + r"):(\d+)\}",
        lambda match: "".join(chance.choices(ALPHABETS[match[1]], k=int(match[2]))),
        text,
    )


def jwt(chance: random.Random) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"sub": str(chance.randrange(10**9)), "exp": 1790000000})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "{base62:43}"])


def raised(case: Case) -> set[str]:
    """Return the rules that fire at their weight; beside an innocent word (`unless`) a rule only whispers."""
    found = scan_segment(Segment(filled(case.text), case.surface))
    return {finding.rule_id for finding in found if finding.weight > INNOCENT * _weight(finding, case.surface)}


def _weight(finding: Finding, surface: Surface) -> float:
    weights = WEIGHTS.get(finding.rule_id)
    return weights[surface] if weights else finding.weight


@pytest.mark.parametrize(("detector", "rule_id"), RULE_IDS)
def test_rule_raises_what_its_file_says(detector: str, rule_id: str) -> None:
    cases = cases_of(detector, rule_id)
    missed = [case.text for case in cases.must_fire if rule_id not in raised(case)]
    wrong = [case.text for case in cases.must_not_fire if rule_id in raised(case)]
    assert (missed, wrong) == ([], [])


@pytest.mark.parametrize(("detector", "rule_id"), RULE_IDS)
def test_rule_has_one_counter_example_for_two_examples(detector: str, rule_id: str) -> None:
    cases = cases_of(detector, rule_id)
    assert len(cases.must_fire) >= 2
    assert len(cases.must_not_fire) * 2 >= len(cases.must_fire)


def test_every_file_belongs_to_a_rule() -> None:
    files = {(path.parent.name, path.stem) for path in FOLDER.glob("*/*.yaml")}
    assert files == set(RULE_IDS)


@pytest.mark.parametrize(("detector", "rule_id"), RULE_IDS)
def test_rule_is_linear_on_near_misses(detector: str, rule_id: str) -> None:
    """The head of an example repeated: four times the text may take four times as long, with room for noise."""
    head = filled(cases_of(detector, rule_id).must_fire[0].text)[:-1]
    short, long = (Segment((head + " ") * (size // len(head)), Surface.USER) for size in (20_000, 80_000))
    scan_segment(long)
    assert min(seconds(long) for _ in range(3)) < 8 * seconds(short) + 0.05


def seconds(segment: Segment) -> float:
    begin = time.process_time()
    scan_segment(segment)
    return time.process_time() - begin
