"""`douane-analytics accounts` and `tokens`, as an operator types them."""

import io
from pathlib import Path

import pytest

from analytics.access import bearer, keys, passwords
from analytics.cli import main
from analytics.store import accounts, audit, database
from tests.analytics.access.people_here import PASSWORD


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    return tmp_path


def typed(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--data", str(folder)])


def test_the_first_administrator(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(folder, "accounts", "add", "alice", "--role", "admin") == 0
    assert typed(folder, "accounts", "list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "alice can log in now",
        "alice                    admin    (every tenant)",
    ]
    engine = database.connect(f"sqlite:///{folder / 'analytics.db'}")
    with engine.connect() as connection:
        assert passwords.verify(accounts.password_hash(connection, "alice"), PASSWORD)
        entries = [one for _, one in audit.page(connection, None, 10)]
    engine.dispose()
    assert [(one.actor[:4], one.action, one.subject) for one in entries] == [("cli:", "account.create", "alice")]


def test_an_account_is_changed_and_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(folder, "accounts", "add", "bob", "--role", "viewer", "--tenant", "acme") == 0
    assert typed(folder, "accounts", "change", "bob", "--role", "analyst", "--disable") == 0
    assert typed(folder, "accounts", "list") == 0
    assert typed(folder, "accounts", "remove", "bob") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "bob is changed",
        "bob                      analyst  acme                     disabled",
        "bob is removed",
    ]


def test_a_token_is_shown_once_and_revoked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(folder, "tokens", "add", "web", "--sidecar", "--tenant", "acme", "--days", "30") == 0
    text = capsys.readouterr().out.strip()
    read = bearer.read(text)
    assert read is not None
    engine = database.connect(f"sqlite:///{folder / 'analytics.db'}")
    with engine.connect() as connection:
        found = keys.whose(connection, text, 0)
        assert found is not None
        token, who = found
        assert (token.expires_unix_s or 0) - token.created_unix_s == 30 * 86_400
        assert (who.tenant, who.scopes) == ("acme", {"ingest", "control"})
        assert typed(folder, "tokens", "revoke", read[0]) == 0
        assert typed(folder, "tokens", "list") == 0
    with engine.connect() as connection:
        assert keys.whose(connection, text, 0) is None
    engine.dispose()
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == [read[0], "web", "ingest", "control", "acme", "revoked", "never", "used"]
    assert text not in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("accounts", "add", "alice"), "accounts add: --role is needed: viewer, analyst, admin"),
        (("accounts", "remove", "alice"), "no account has this name"),
        (("accounts", "add", "Alice", "--role", "admin"), "a name begins with a small letter or digit"),
        (("accounts", "change", "a", "--enable", "--disable"), "accounts change: --disable or --enable, not both"),
        (("accounts", "add"), "accounts add: say which one"),
        (("tokens", "revoke", "0" * 16), "no token has this id"),
    ],
)
def test_what_cannot_be_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert typed(folder, *arguments) == 2
    assert capsys.readouterr().err.startswith(f"douane-analytics: {told}")


def test_a_bad_password_is_told_and_makes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert typed(folder, "accounts", "add", "alice", "--role", "admin", "--tenant", "acme") == 2
    assert capsys.readouterr().err == "douane-analytics: a password has at least 12 characters\n"
    assert typed(folder, "accounts", "list") == 0
    assert capsys.readouterr().out == ""
