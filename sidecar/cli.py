"""The `douane` command.

In: arguments. Out: an exit status: 0 well, 1 failed, 2 wrong usage or settings.
Heavy parts are imported by the command that needs them: a worker never loads Envoy's configuration types.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sidecar.config import ConfigError, Settings, load_settings
from sidecar.types import Mode

_EXAMPLES = """examples:
  douane up                              everything on this machine: gateway on 8000, dashboard, docs
  douane up --mode observe --port 9000   write records, never block
  DOUANE_UPSTREAMS=openai=http://127.0.0.1:11434 douane up     a local OpenAI-compatible server
  douane envoy-config > envoy.json       the configuration of Envoy, to look at

Settings come from DOUANE_* variables and .env too; README.md lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return run(parsed)
    except (ConfigError, ValueError, OSError) as error:
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
    show.add_argument("--routes", action="store_true", help="print the route table instead of the bootstrap")
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


_OPTIONS = frozenset(Settings.model_fields)


def _settings(parsed: argparse.Namespace) -> Settings:
    given = {name: value for name, value in vars(parsed).items() if name in _OPTIONS and value is not None}
    return load_settings(**given)


def _up(parsed: argparse.Namespace) -> int:
    from sidecar.supervisor.up import run

    return run(_settings(parsed), to_stdout=parsed.logs == "stdout")


def _envoy_config(parsed: argparse.Namespace) -> int:
    from sidecar.app import policy_path
    from sidecar.control.policy_file import PolicyFile
    from sidecar.envoyconf.bootstrap import render_bootstrap
    from sidecar.envoyconf.routes import render_routes
    from sidecar.supervisor.plan import gateway_spec

    settings = _settings(parsed)
    policy = PolicyFile(policy_path(settings), settings.default_policy(), lambda **_good: None).current
    spec = gateway_spec(settings, policy)
    print(render_routes(spec, policy.version) if parsed.routes else render_bootstrap(spec))
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    from sidecar.demo.provider import build_provider

    with build_provider(parsed.port) as server:
        print(
            f"douane: stand-in provider on http://127.0.0.1:{server.server_address[1]}/v1 (Ctrl-C stops it)", flush=True
        )
        server.serve_forever()
    return 0


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
