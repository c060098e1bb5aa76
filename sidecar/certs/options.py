"""The options of `douane ca`, `douane env` and `douane run`.

In: the command line's subparsers. Out: the parsers that were added, each with `ca` set to what was asked.
Apart from what they do (command.py), so that `douane scan` does not load cryptography.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

_RAW = argparse.RawDescriptionHelpFormatter
_ENV = 'examples:\n  eval "$(douane env)"\n  douane env --shell dotenv >> .env'
_RUN = """examples:
  douane run -- python app.py
  douane run -- npm start
  douane run --no-check -- curl https://api.openai.com/v1/models"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Iterator[argparse.ArgumentParser]:
    """Add the commands, and yield their parsers."""
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, help="data folder (~/.local/share/douane)")
    data.add_argument("--proxy-port", type=int, help="port of the forward proxy (3128)")
    authority = commands.add_parser("ca", help="our certificate authority: show, export, rotate")
    ca = authority.add_subparsers(required=True, metavar="show|export|rotate")
    show = ca.add_parser("show", help="what it is, where it lies, how to trust it", parents=[data])
    rotate = ca.add_parser("rotate", help="make a new one; clients that trust the old one go on", parents=[data])
    export = ca.add_parser("export", help="write its certificate (never its key)", parents=[data])
    export.add_argument(
        "--format", choices=("pem", "der", "p12"), default="pem", help="p12: a Java truststore, roots included"
    )
    export.add_argument("--out", type=Path, metavar="FILE", help="instead of standard output")
    words = "print the environment that leads programs through the proxy"
    env = commands.add_parser("env", help=words, parents=[data], epilog=_ENV, formatter_class=_RAW)
    env.add_argument("--shell", choices=("sh", "fish", "powershell", "dotenv", "json"), default="sh")
    words = "run a program through the proxy"
    run = commands.add_parser("run", help=words, parents=[data], epilog=_RUN, formatter_class=_RAW)
    run.add_argument("--no-check", action="store_true", help="do not look first whether the proxy answers")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the program and its arguments")
    for name, parser in (("show", show), ("rotate", rotate), ("export", export), ("env", env), ("run", run)):
        parser.set_defaults(ca=name)
        yield parser
