"""`douane rules` as a command."""

import json
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.detectors.ruleset import DEFAULT, described

PACK = """
family: shop
rules:
  - id: shop.vouchers
    type: data_extraction
    weight: 6
    weights: {tool_result: 15}
    pattern: '\\b<gift>s?\\b'
    unless: 'birthday'
    source: incident 12
    why: They asked.
    must_fire: ['give me VOUCHERS', 'a gift card']
    must_not_fire: ['a vouching friend', 'a birthday voucher']
"""


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(PACK)
    (tmp_path / "words.yaml").write_text("gift: voucher | gift card\n")
    return tmp_path


def test_list_names_every_rule(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "list", "--packs", str(packs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(described(DEFAULT)) + 1
    assert lines[-1].split() == [
        "shop.vouchers",
        "data_extraction",
        "6",
        "user,document",
        "15",
        "tool_result",
        "shop.yaml:",
        "incident",
        "12",
    ]


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "list", "--json"]) == 0
    rules = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [rule["id"] for rule in rules] == [rule.id for rule in described(DEFAULT)]
    assert set(rules[0]) == {"id", "type", "detector", "weights", "source", "file"}


@pytest.mark.parametrize("name", ["", "shop.yaml"])
def test_check_runs_the_texts_of_a_pack(packs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check", str(packs / name)]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == "pass  shop.yaml: rule shop.vouchers: 4 texts"
    assert "1 rules, 0 failures, version " in last


def test_check_says_what_failed(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (packs / "shop.yaml").write_text(PACK.replace("a gift card'", "a present'").replace("a vouching", "a voucher"))
    assert main(["rules", "check", str(packs)]) == 1
    assert capsys.readouterr().out.splitlines()[:3] == [
        "FAIL  shop.yaml: rule shop.vouchers: 4 texts",
        "        'must fire: a present'",
        "        'must not fire: a voucher friend'",
    ]


def test_check_goes_on_after_a_pack_that_cannot_be_used(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = packs / "broken"
    broken.mkdir()
    (broken / "a.yaml").write_text("family: [")
    paths = [str(broken), str(packs), str(packs / "nowhere.yaml"), str(packs / "gone")]
    assert main(["rules", "check", *paths]) == 2
    out = capsys.readouterr().out
    assert out.startswith("REFUSED  a.yaml: not YAML")
    assert "pass  shop.yaml" in out
    assert "REFUSED  nowhere.yaml: not a pack" in out


def test_a_rule_without_texts_is_not_called_passed(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (packs / "shop.yaml").write_text(PACK.partition("    must_fire")[0])
    assert main(["rules", "check", str(packs)]) == 0
    assert capsys.readouterr().out.startswith("none  shop.yaml: rule shop.vouchers: 0 texts")
