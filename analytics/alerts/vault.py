"""What channels made through the API need to reach their target, sealed before it is stored.

In: plain values. Out: a sealed text that only this installation's key opens. The key comes from `alert_secret_key`, which every
replica must be given alike, or from alerts.key in the data folder, made at the first use and readable by its owner alone.
What this is worth: a copy of the database alone does not reveal a webhook's URL or a password. Who holds the key as well, can.
Source: Fernet (AES-128-CBC with HMAC-SHA256), cryptography.io/en/latest/fernet, 2026-11; the
key is derived with HKDF-SHA256 (RFC 5869), since it is a random text and no password.
Never: a secret in an exception.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from analytics.config import Settings

KEY_FILE = "alerts.key"
_JSON = msgspec.json.Encoder()


class Unreadable(Exception):  # noqa: N818 - named for what it is, STYLE 6
    """Sealed with another key, or damaged."""


class Vault:
    """Seals and opens. The key is looked for when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings.alert_secret_key.get_secret_value()
        self._folder = settings.data_dir.expanduser()

    @cached_property
    def _fernet(self) -> Fernet:
        secret = self._given.encode() if self._given else _kept(self._folder / KEY_FILE)
        key = HKDF(SHA256(), 32, salt=None, info=b"douane alert channels 1").derive(secret)
        return Fernet(base64.urlsafe_b64encode(key))

    def seal(self, values: Mapping[str, Any]) -> str:
        """Return values as a sealed text."""
        return self._fernet.encrypt(_JSON.encode(values)).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        """Return what was sealed. Raises: Unreadable."""
        try:
            opened: dict[str, Any] = msgspec.json.decode(self._fernet.decrypt(sealed), type=dict[str, Any])
        except (InvalidToken, msgspec.DecodeError, ValueError):
            raise Unreadable from None
        return opened


def _kept(path: Path) -> bytes:
    """Return the key in a file; make it whole or not at all, whoever else does so at the same moment."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(fresh, path)  # fails where another process was first: its key is taken
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
