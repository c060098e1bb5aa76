"""The command line of the service and of what stands beside it: accounts, tokens, made-up traffic, exports, upkeep.

In: arguments; they overrule the environment. Out: an exit code, 0 when all went well, 2 when a setting is wrong.
Never: work of its own; app.py constructs and runs everything.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from analytics import app, config
from analytics.access import command as access
from analytics.formats import command as export
from analytics.generate import command as generate
from analytics.store import command as store

_EXAMPLES = """examples:
  douane-analytics serve                                  SQLite in ~/.local/share/douane, http://127.0.0.1:8080/dashboard
  douane-analytics serve --data /srv/douane --http-port 9000
  douane-analytics serve --database-url postgresql+psycopg://douane@db/douane
  douane-analytics migrate --data /srv/douane             bring the database's schema up to date, then stop
  douane-analytics accounts add alice --role admin        asks for a password; then everybody logs in
  douane-analytics tokens add web --sidecar --tenant acme a token for a sidecar, shown once
  douane-analytics generate --records 100000 --into demo.db --truth truth.json      made-up traffic to try things with
  douane-analytics export --days 7 --format parquet --out week.parquet
  douane-analytics rollups rebuild --since 2026-11-01     count the sums again from the records, beside a running service
  douane-analytics retention                              take away what is older than the settings say, now

Every option has an environment variable DOUANE_ANALYTICS_<NAME>; see the settings table in README.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return the exit code."""
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    try:
        return int(run(options) or 0)
    except (config.ConfigError, ValueError) as error:
        print(f"douane-analytics: {error}", file=sys.stderr)
        return 2


def _settings(options: dict[str, Any]) -> config.Settings:
    return config.load(**{name: value for name, value in options.items() if name in config.Settings.model_fields})


def _serve(options: dict[str, Any]) -> None:
    app.serve(_settings(options))


def _migrate(options: dict[str, Any]) -> None:
    app.migrate(_settings(options))


def _access(options: dict[str, Any]) -> int:
    with app.opened(_settings({name: options[name] for name in ("data_dir", "database_url")})) as engine:
        return access.run(engine, options, time.time())


def _generate(options: dict[str, Any]) -> int:
    asked = generate.plan(options, time.time())
    if (url := generate.database_url(options)) is None:
        return generate.into_file(asked, options)
    with app.opened(_settings({"database_url": url})) as engine:
        return generate.into_database(engine, asked, options)


def _export(options: dict[str, Any]) -> int:
    asked = export.narrowed(options, time.time())
    with app.opened(_settings(options)) as engine:
        return export.run(engine, options, asked)


def _rollups(options: dict[str, Any]) -> int:
    settings = _settings(options)
    with app.opened(settings) as engine:
        return store.rebuild(engine, settings, options["since"], time.time(), print)


def _retention(options: dict[str, Any]) -> int:
    settings = _settings(options)
    with app.opened(settings) as engine:
        return store.retain(engine, settings, time.time(), print)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="douane-analytics",
        description="Keep Douane's books: take decision records in, answer the API, show the dashboard.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="migrate, then run ingest, API and dashboard until SIGTERM or Ctrl-C")
    migrate = commands.add_parser("migrate", help="bring the database's schema up to date")
    made = commands.add_parser("generate", help="make up realistic traffic, into a database or a file")
    exported = commands.add_parser("export", help="write decisions to a file: CSV, JSON lines or Parquet")
    people = commands.add_parser("accounts", help="who may log in, and as what")
    tokens = commands.add_parser("tokens", help="tokens of programs and sidecars")
    access.add_options(people, tokens)
    generate.add_options(made)
    export.add_options(exported)
    counted = commands.add_parser("rollups", help="count the sums again from the records")
    retained = commands.add_parser("retention", help="take away what is older than the settings say")
    store.add_rollups_options(counted)
    runs = {serve: _serve, migrate: _migrate, made: _generate, exported: _export, people: _access, tokens: _access}
    runs |= {counted: _rollups, retained: _retention}
    for command, run in runs.items():
        command.set_defaults(run=run)
    for command in (serve, migrate, exported, people, tokens, counted, retained):
        command.add_argument("--data", dest="data_dir", metavar="DIR", help="folder of the embedded database")
        command.add_argument("--database-url", metavar="URL", help="another database than SQLite in --data")
    serve.add_argument("--http-host", metavar="ADDRESS", help="where API and dashboard listen (127.0.0.1)")
    serve.add_argument("--http-port", metavar="PORT", help="their port (8080)")
    serve.add_argument("--grpc-host", metavar="ADDRESS", help="where ingest listens (127.0.0.1)")
    serve.add_argument("--grpc-port", metavar="PORT", help="its port (8081)")
    serve.add_argument(
        "--role", metavar="ROLE", help="with REDIS_URL: take records in (ingest), write them (worker), or all"
    )
    return parser
