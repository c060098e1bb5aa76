"""`douane-analytics accounts` and `tokens`: who may do what, from the machine that holds the database.

In: options, an engine. Out: what was done, on standard output; a password is asked for, or read from standard input, and never an
argument, which every user of the machine could see. Raises ValueError in words for whoever typed it.
Never: a token's text but when it is made; a password anywhere.
"""

import argparse
import getpass
import sys
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine

from analytics.access import estates, keys, people
from analytics.access.keys import NewToken
from analytics.access.people import Changes, NewAccount
from analytics.access.principal import ROLES, SCOPES, Principal
from analytics.access.refusals import AccessError
from analytics.store import accounts, database, tenants, tokens

_DAY_S = 86_400


def add_options(accounts_command: argparse.ArgumentParser, tokens_command: argparse.ArgumentParser) -> None:
    """Add the options of both commands."""
    _account_options(accounts_command)
    _token_options(tokens_command)


def _account_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("do", choices=("list", "add", "change", "remove"))
    command.add_argument("name", nargs="?", default="", help="the account's name")
    command.add_argument("--role", choices=ROLES, help="what it may do")
    command.add_argument("--tenant", help="with add: bind it to a tenant, which is made when there is none of the name")
    command.add_argument("--password", action="store_true", help="with change: ask for a new password")
    command.add_argument("--disable", action="store_true", help="with change: shut it out")
    command.add_argument("--enable", action="store_true", help="with change: let it in again")


def _token_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("do", choices=("list", "add", "revoke"))
    command.add_argument("name", nargs="?", default="", help="the token's name; with revoke its id")
    command.add_argument("--role", choices=ROLES, default="viewer", help="what it may do (viewer)")
    command.add_argument("--tenant", help="bind it to a tenant, which is made when there is none of the name")
    command.add_argument("--scope", action="append", choices=SCOPES, help="what it is for; again for more")
    command.add_argument("--sidecar", action="store_true", help="for a sidecar: --scope ingest --scope control")
    command.add_argument("--days", type=int, help="days until it expires; without: never")


def run(engine: Engine, options: dict[str, Any], now_s: float) -> int:
    """Do what the options say; return the exit code. Raises: ValueError."""
    by = Principal(f"cli:{getpass.getuser()}", "admin")
    work = {"accounts": _accounts, "tokens": _tokens}[options["command"]]
    if options["do"] != "list" and not options["name"]:
        raise ValueError(f"{options['command']} {options['do']}: say which one")
    if options["command"] == "accounts" and (options["do"] == "add" or options["password"]):
        options = options | {"secret": _password()}  # before the database is locked: people take their time
    try:
        with database.writing(engine) as connection:
            work(connection, by, options, now_s)
    except AccessError as error:
        raise ValueError(error.message) from error
    return 0


def _accounts(connection: Connection, by: Principal, options: dict[str, Any], now_s: float) -> None:
    name = options["name"]
    if options["do"] == "list":
        for one in accounts.every(connection, None):
            state = "disabled" if one.disabled else ""
            print(f"{one.name:24} {one.role:8} {one.tenant or '(every tenant)':24} {state}".rstrip())
    elif options["do"] == "add":
        if options["role"] is None:
            raise ValueError(f"accounts add: --role is needed: {', '.join(ROLES)}")
        _tenant(connection, by, options["tenant"], now_s)
        people.create(connection, by, NewAccount(name, options["role"], options["tenant"], options["secret"]), now_s)
        print(f"{name} can log in now")
    elif options["do"] == "change":
        people.change(connection, by, name, _changes(options), now_s)
        print(f"{name} is changed")
    else:
        people.remove(connection, by, name, now_s)
        print(f"{name} is removed")


def _changes(options: dict[str, Any]) -> Changes:
    if options["disable"] and options["enable"]:
        raise ValueError("accounts change: --disable or --enable, not both")
    disabled = True if options["disable"] else False if options["enable"] else None
    return Changes(options["role"], disabled, options.get("secret"))


def _tokens(connection: Connection, by: Principal, options: dict[str, Any], now_s: float) -> None:
    if options["do"] == "list":
        for one in tokens.every(connection, None):
            state = "good" if one.good(now_s) else "revoked" if one.revoked_unix_s else "expired"
            what = " ".join(one.scopes) or one.role
            print(f"{one.token_id} {one.name:24} {what:24} {one.tenant or '(every tenant)':24} {state} {_used(one)}")
    elif options["do"] == "add":
        _tenant(connection, by, options["tenant"], now_s)
        scopes = ("ingest", "control") if options["sidecar"] else tuple(options["scope"] or ())
        expires = None if options["days"] is None else int(now_s) + options["days"] * _DAY_S
        new = NewToken(options["name"], options["role"], options["tenant"], scopes, expires)
        _, text = keys.create(connection, by, new, now_s)
        print("keep it now, it is not shown again:", file=sys.stderr)
        print(text)
    else:
        keys.revoke(connection, by, options["name"], now_s)
        print(f"{options['name']} opens nothing any more")


def _used(token: tokens.Token) -> str:
    if token.last_used_unix_s is None:
        return "never used"
    return datetime.fromtimestamp(token.last_used_unix_s, UTC).strftime("used %Y-%m-%d %H:%M")


def _tenant(connection: Connection, by: Principal, name: str | None, now_s: float) -> None:
    if name is not None and tenants.find(connection, name) is None:
        estates.create(connection, by, name, "", now_s)


def _password() -> str:
    """Ask for a password twice; without a terminal it is one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != first:
        raise ValueError("these are two different passwords")
    return first
