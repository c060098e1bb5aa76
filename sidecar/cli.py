"""The `douane` command.

In: arguments. Out: an exit status: 0 well, 1 failed, 2 wrong usage or settings.
`douane scan` and `douane coverage` have statuses of their own: see their command.py.
Heavy parts are imported by the command that needs them: a worker never loads Envoy's configuration types, a scan no settings.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.types import Mode, RiskLevel, Surface

if TYPE_CHECKING:
    from sidecar.config import Settings

_EXAMPLES = """examples:
  douane up                              everything on this machine: gateway on 8000, dashboard, docs
  douane up --mode observe --port 9000   write records, never block
  DOUANE_UPSTREAMS=openai=http://127.0.0.1:11434 douane up     a local OpenAI-compatible server
  douane envoy-config > envoy.json       the configuration of Envoy, to look at

Settings come from DOUANE_* variables and .env too; README.md lists them."""

_SCAN_EXAMPLES = """examples:
  douane scan "Ignore all previous instructions"
  douane scan --explain mail.txt docs/            files, and folders with all that is below them
  douane scan --jsonl prompts.jsonl > found.jsonl
  douane scan --fail-on high --quiet -            for scripts: standard input, and only an exit status

exit status: of the worst text, LOW 0, MEDIUM 10, HIGH 20, CRITICAL 30; with --fail-on 1 or 0;
2 when something could not be read"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except (ValueError, OSError) as error:  # ConfigError and PackError are ValueErrors
        print(f"douane: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="douane",
        description="Customs for LLM traffic: inspects every LLM call that leaves an application.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_up(commands)
    _add_envoy_config(commands)
    _add_demo(commands)
    _add_worker(commands)
    _add_certificates(commands)
    _add_authority(commands)
    _add_scan(commands)
    _add_rules(commands)
    _add_coverage(commands)
    return parser


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser(
        "up",
        help="run Envoy, the sidecar and analytics together",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(up)
    up.add_argument("--port", type=int, help="port of the gateway (8000)")
    up.add_argument("--bind", help="address of the gateway (127.0.0.1)")
    up.add_argument("--workers", type=int, help="sidecar worker processes (one per core)")
    up.add_argument("--proxy-port", type=int, help="port of the forward proxy (3128; 0: none)")
    up.add_argument("--transparent-port", type=int, help="port for redirected connections (none; usually 15001)")
    up.add_argument("--admin-port", type=int, help="port of Envoy's admin page (9901)")
    up.add_argument("--metrics-port", type=int, help="port of the sidecar's metrics (9464)")
    up.add_argument("--analytics-port", dest="analytics_http_port", type=int, help="port of analytics (8080)")
    up.add_argument("--analytics-grpc-port", type=int, help="port on which analytics takes records (8081)")
    up.add_argument("--demo-port", type=int, help="port of the stand-in provider (8090)")
    up.add_argument("--logs", choices=("files", "stdout"), default="files", help="where children log (files in --data)")
    up.set_defaults(run=_up)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="folder of everything that is kept (~/.local/share/douane)")
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], help="enforce (default) or observe")
    parser.add_argument("--policy-file", type=Path, help="policy file (policy.yaml in the data folder)")


def _add_envoy_config(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    show = commands.add_parser("envoy-config", help="print Envoy's configuration as JSON")
    _add_common(show)
    which = show.add_mutually_exclusive_group()
    tables = ("gateway", "proxy", "proxy-opened", "transparent", "transparent-opened")
    which.add_argument("--table", choices=tables, help="print a route table instead of the bootstrap")
    which.add_argument("--doors", action="store_true", help="print the listeners of the proxy and transparent doors")
    show.set_defaults(run=_envoy_config)


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser("demo-provider", help="run the stand-in provider alone")
    demo.add_argument("--port", type=int, default=8090, help="loopback port (8090)")
    demo.set_defaults(run=_demo)


def _add_worker(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    worker = commands.add_parser("worker", help="run one sidecar worker (started by `douane up`)")
    worker.add_argument("--index", type=int, default=0, help="its place among the workers")
    worker.add_argument("--data", type=Path, help="data folder")
    worker.set_defaults(run=_worker)


def _add_certificates(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    answers = commands.add_parser("certificates", help="answer Envoy for certificates (started by `douane up`)")
    answers.add_argument("--data", type=Path, help="data folder")
    answers.set_defaults(run=_certificates)


def _add_authority(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`ca`, `env` and `run`: their options are light, what they do is imported when it is asked for."""
    from sidecar.certs.options import add_commands

    for parser in add_commands(commands):
        parser.set_defaults(run=_authority)


def _authority(parsed: argparse.Namespace) -> int:
    from sidecar.certs.command import command

    return command(_settings(parsed), parsed)


def _add_scan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="look at texts, files, folders or JSON lines",
        epilog=_SCAN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scan.add_argument("what", nargs="*", help="texts, files, folders; - is standard input as one text")
    scan.add_argument("--jsonl", metavar="FILE", help='lines {"id", "text", "surface"?}; - is standard input')
    scan.add_argument("--text", action="store_true", help="take every argument for a text, also if a file has its name")
    scan.add_argument(
        "--surface", choices=[s.value for s in Surface], default="user", help="where the texts would stand (user)"
    )
    scan.add_argument("--json", action="store_true", help="print one JSON object per text")
    scan.add_argument("--explain", action="store_true", help="print how each score came to be")
    scan.add_argument("--packs", type=Path, metavar="DIR", help="folder of your own rules")
    levels = [level.value for level in RiskLevel]
    scan.add_argument("--fail-on", type=str.lower, choices=levels, help="exit 1 when a text reaches this level, else 0")
    scan.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="processes that read JSON lines (1)")
    scan.add_argument("--quiet", action="store_true", help="print nothing but errors; the exit status tells")
    scan.set_defaults(run=_scan)


def _jobs(value: str) -> int:
    number = int(value)
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("1 to 64")
    return number


def _add_rules(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rules = commands.add_parser("rules", help="list the rules, or test packs of your own").add_subparsers(
        required=True, metavar="list|check"
    )
    listing = rules.add_parser("list", help="print every rule: id, type, weights by surface, source")
    listing.add_argument("--packs", type=Path, metavar="DIR", help="folder of your own rules")
    listing.add_argument("--json", action="store_true", help="print one JSON object per rule")
    listing.set_defaults(run=_list_rules)
    check = rules.add_parser("check", help="validate packs and run their must_fire and must_not_fire texts")
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="folder of packs, or one pack")
    check.set_defaults(run=_check_packs)


def _add_coverage(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    coverage = commands.add_parser(
        "coverage",
        help="say what did not go through customs",
        epilog="exit status: 0 well, 2 nothing to read, 3 with --fail-on-uninspected when an LLM host was reached uninspected",
    )
    coverage.add_argument("--days", type=_days, default=7, metavar="N", help="how many days back (7)")
    coverage.add_argument("--json", action="store_true", help="print the report as JSON")
    coverage.add_argument("--data", type=Path, help="data folder of the installation (~/.local/share/douane)")
    coverage.add_argument(
        "--fail-on-uninspected", action="store_true", help="exit 3 when an LLM host was reached without inspection"
    )
    coverage.set_defaults(run=_coverage)


def _days(value: str) -> int:
    number = int(value)
    if not 1 <= number <= 366:
        raise argparse.ArgumentTypeError("1 to 366")
    return number


def _settings(parsed: argparse.Namespace) -> "Settings":
    from sidecar.config import Settings, load_settings

    options = Settings.model_fields
    given = {name: value for name, value in vars(parsed).items() if name in options and value is not None}
    return load_settings(**given)


def _up(parsed: argparse.Namespace) -> int:
    # Read when gRPC is imported. Children are replaced by another program at once; without this it complains at each restart.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    from sidecar.supervisor.up import run

    return run(_settings(parsed), to_stdout=parsed.logs == "stdout")


def _envoy_config(parsed: argparse.Namespace) -> int:
    from sidecar.app import policy_path
    from sidecar.control.policy_file import PolicyFile
    from sidecar.envoyconf.bootstrap import render_bootstrap
    from sidecar.envoyconf.doors import render_doors
    from sidecar.envoyconf.tables import render_table
    from sidecar.supervisor.plan import gateway_spec

    settings = _settings(parsed)
    policy = PolicyFile(policy_path(settings), settings.default_policy(), lambda **_good: None).current
    spec = gateway_spec(settings, policy)
    if parsed.table is not None:
        print(render_table(spec, parsed.table, policy.version))
    else:
        print(render_doors(spec, policy.version) if parsed.doors else render_bootstrap(spec))
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    from sidecar.demo.provider import build_provider

    with build_provider(parsed.port) as server:
        print(
            f"douane: stand-in provider on http://127.0.0.1:{server.server_address[1]}/v1 (Ctrl-C stops it)", flush=True
        )
        server.serve_forever()
    return 0


def _scan(parsed: argparse.Namespace) -> int:
    from sidecar.scan.command import run

    return run(parsed)


def _list_rules(parsed: argparse.Namespace) -> int:
    from sidecar.rules.command import list_rules

    return list_rules(parsed)


def _check_packs(parsed: argparse.Namespace) -> int:
    from sidecar.rules.command import check_packs

    return check_packs(parsed)


def _certificates(parsed: argparse.Namespace) -> int:
    import asyncio

    from sidecar.certs.authority import open_authority
    from sidecar.certs.sds import Issuer, serve
    from sidecar.telemetry import start_logging

    settings = _settings(parsed)
    start_logging(settings.log_level)
    authority = open_authority(settings.folder / "ca", settings.llm_names())
    asyncio.run(serve(Issuer(authority), f"unix:{settings.folder / 'run' / 'sds.sock'}"))
    return 0


def _coverage(parsed: argparse.Namespace) -> int:
    from sidecar.coverage.command import run

    return run(parsed, _settings(parsed))


def _worker(parsed: argparse.Namespace) -> int:
    import uvloop

    from sidecar.app import Worker
    from sidecar.telemetry import start_logging

    settings = _settings(parsed)
    start_logging(settings.log_level)

    async def serve() -> None:
        await Worker(settings, parsed.index).run()

    uvloop.run(serve())
    return 0
