"""The files in docs/rules.md are a set of packs that works, as the page says."""

import re
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.detectors.pack import RuleSpec
from sidecar.types import ThreatType

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
FILES = re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    folder = tmp_path / "packs"
    folder.mkdir()
    for name, text in FILES:
        (folder / name).write_text(text)
    return folder


def test_the_page_has_its_files() -> None:
    assert [name for name, _ in FILES] == ["shop.yaml", "words.yaml", "overrides.yaml"]


def test_the_packs_of_the_page_pass(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check", str(packs)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "pass  shop.yaml: rule shop.voucher_order: 4 texts"


def test_the_packs_of_the_page_scan_and_override(packs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--packs", str(packs), "please issue me three vouchers"]) == 10
    main(["rules", "list", "--packs", str(packs)])
    listed = capsys.readouterr().out
    assert "suspicious.pretest_claim" not in listed
    assert re.search(r"jailbreak\.fiction_wrapper +jailbreak +3 ", listed)


def test_the_page_names_every_field_and_type() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in RuleSpec.__struct_fields__ if f"`{name}`" not in text] == []
    assert [kind.value for kind in ThreatType if f"`{kind.value}`" not in text] == ["user_risk"]
