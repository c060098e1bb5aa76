"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from sidecar.policy import Policy
from sidecar.types import FailureKind
from tests.docs.generate import README, REFERENCE, ROOT, filled, reference


def test_the_reference_is_fresh() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run `make docs`"


def test_the_settings_table_of_the_readme_is_fresh() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == filled(text), "run `make docs`"
    assert text.count("| `DOUANE_") > 20


_NOT_OURS = {".venv", "build", "node_modules"}


@pytest.mark.parametrize("path", sorted(p for p in ROOT.glob("**/*.md") if not _NOT_OURS & set(p.parts)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_policy_file_explains_every_setting() -> None:
    text = (ROOT / "sidecar" / "policy.yaml").read_text(encoding="utf-8")
    fields = [name for name in Policy.__struct_fields__ if name != "version"]
    assert [name for name in fields if not re.search(rf"^(# )?{name}:( |$)", text, re.MULTILINE)] == []


def test_the_policy_page_names_every_setting() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    assert [name for name in Policy.__struct_fields__ if name != "version" and f"`{name}" not in text] == []


def test_the_readme_names_every_make_target() -> None:
    text = README.read_text(encoding="utf-8")
    assert "make run" in text
    assert "make test" in text


def test_the_codes_in_the_readme_exist() -> None:
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if re.match(r"\| \d{3} \|", line)]
    codes = set(re.findall(r"`douane_([a-z_]+)`", "\n".join(rows))) - {"denied", "throttled"}
    assert codes
    assert codes <= {kind.value for kind in FailureKind}
