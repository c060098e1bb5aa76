"""Why a change of access is refused, in words for whoever asked: the API gives it a status, the command line prints it."""

from typing import Literal

Kind = Literal["invalid", "missing", "forbidden", "conflict", "unknown", "too_many"]


class AccessError(Exception):
    """A refusal. param names the field at fault, wait_s how long to wait before the next try."""

    def __init__(self, kind: Kind, message: str, param: str | None = None, wait_s: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.wait_s = wait_s
