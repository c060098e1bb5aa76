"""What is sealed is opened by the same key alone, and the key is made once."""

import stat
import threading
from pathlib import Path

import pytest

from analytics import config
from analytics.alerts.vault import KEY_FILE, Unreadable, Vault

VALUES = {"url": "https://hooks.example/secret", "to": ["a@x.org"], "port": 587}


def test_a_key_of_the_settings_opens_on_every_replica(tmp_path: Path) -> None:
    one, other = (Vault(config.load(alert_secret_key="k" * 32, data_dir=tmp_path / name)) for name in ("one", "other"))
    sealed = one.seal(VALUES)
    assert "secret" not in sealed
    assert other.open(sealed) == VALUES
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_at_the_first_use_and_kept_from_others(tmp_path: Path) -> None:
    settings = config.load(data_dir=tmp_path / "new")
    vault = Vault(settings)
    assert not (tmp_path / "new").exists()
    sealed = vault.seal(VALUES)
    assert Vault(settings).open(sealed) == VALUES
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((tmp_path / "new" / KEY_FILE).stat().st_mode) == 0o600


def test_of_many_that_make_a_key_at_once_all_have_the_same(tmp_path: Path) -> None:
    settings = config.load(data_dir=tmp_path)
    sealed: list[str] = []
    threads = [threading.Thread(target=lambda: sealed.append(Vault(settings).seal(VALUES))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Vault(settings).open(one) for one in sealed] == [VALUES] * 8


@pytest.mark.parametrize("text", ["", "not sealed", "é"])
def test_what_was_not_sealed_here_is_unreadable(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable):
        Vault(config.load(data_dir=tmp_path)).open(text)
    other = Vault(config.load(alert_secret_key="another key", data_dir=tmp_path)).seal(VALUES)
    with pytest.raises(Unreadable):
        Vault(config.load(data_dir=tmp_path)).open(other)
