"""reach: one language's table, attacks and ordinary texts apart."""

import sys

import pytest

from tests.train import reach


def test_a_language_has_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["reach", "ro", "--show", "1"])
    reach.main()
    printed = capsys.readouterr().out
    assert "attack override" in printed
    assert "benign user" in printed
