"""The command line: `douane-analytics serve` and `douane-analytics migrate`.

In: arguments; they overrule the environment. Out: an exit code, 0 when all went well, 2 when a setting is wrong.
Never: work of its own; app.py constructs and runs everything.
"""

import argparse
import sys
from collections.abc import Sequence

from analytics import app, config

_EXAMPLES = """examples:
  douane-analytics serve                                  SQLite in ~/.local/share/douane, http://127.0.0.1:8080/dashboard
  douane-analytics serve --data /srv/douane --http-port 9000
  douane-analytics serve --database-url postgresql+psycopg://douane@db/douane
  douane-analytics migrate --data /srv/douane             bring the database's schema up to date, then stop

Every option has an environment variable DOUANE_ANALYTICS_<NAME>; see the settings table in README.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return the exit code."""
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    try:
        settings = config.load(**options)
        if command == "migrate":
            app.migrate(settings)
        else:
            app.serve(settings)
    except config.ConfigError as error:
        print(f"douane-analytics: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="douane-analytics",
        description="Keep Douane's books: take decision records in, answer the API, show the dashboard.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="migrate, then run ingest, API and dashboard until SIGTERM or Ctrl-C")
    for command in (serve, commands.add_parser("migrate", help="bring the database's schema up to date")):
        command.add_argument("--data", dest="data_dir", metavar="DIR", help="folder of the embedded database")
        command.add_argument("--database-url", metavar="URL", help="another database than SQLite in --data")
    serve.add_argument("--http-host", metavar="ADDRESS", help="where API and dashboard listen (127.0.0.1)")
    serve.add_argument("--http-port", metavar="PORT", help="their port (8080)")
    serve.add_argument("--grpc-host", metavar="ADDRESS", help="where ingest listens (127.0.0.1)")
    serve.add_argument("--grpc-port", metavar="PORT", help="its port (8081)")
    return parser
