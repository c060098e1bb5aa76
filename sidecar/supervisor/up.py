"""`douane up`: start everything, say where the doors are, keep it running, stop it in order.

In: Settings. Out: an exit status.
Order of stopping: Envoy refuses new connections, finishes open answers and ends; the workers deliver what they hold; analytics
commits and ends. The other way round answers would be cut, and records wait for the next start.
"""

import asyncio
import fcntl
import signal
import sys

from sidecar.app import packs_path, policy_path
from sidecar.config import ConfigError, Settings
from sidecar.control.packs_folder import PacksFolder
from sidecar.control.policy_file import PolicyFile
from sidecar.supervisor.child import Runner, StartFailed
from sidecar.supervisor.health import ask
from sidecar.supervisor.plan import children, gateway_spec, prepare, write_envoy, write_watched
from sidecar.supervisor.watching import Watching
from sidecar.telemetry import serve_metrics

_START_S = 60.0
# Requests under way at the doors. Not CONNECT's tunnels: clients keep those open for hours without saying anything.
_OPEN = r"^http\.(gateway|proxy_opened|transparent|transparent_opened)\.downstream_rq_active$"


def run(settings: Settings, *, to_stdout: bool) -> int:
    """Run the installation until SIGINT or SIGTERM; return 0, or 1 when it could not start."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    with (settings.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another douane runs on {settings.folder}; stop it or choose another --data") from None
        prepare(settings)
        return asyncio.run(_Installation(settings, to_stdout=to_stdout).run())


class _Installation:
    """The children of one run."""

    def __init__(self, settings: Settings, *, to_stdout: bool) -> None:
        self.settings = settings
        self.policy = PolicyFile(policy_path(settings), settings.default_policy(), lambda **_good: None)
        # Read here too, so that a broken pack is one complaint and not a worker that starts again and again.
        PacksFolder(packs_path(settings), lambda **_good: None, required=settings.packs_dir is not None)
        config = write_envoy(settings, self.policy.current)
        self.runners = [Runner(child) for child in children(settings, config, to_stdout=to_stdout)]
        self.watching = Watching(settings, lambda: self.runners[-1].pid)

    async def run(self) -> int:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        stop_metrics = serve_metrics(self.settings.metrics_port, str(self.settings.folder / "run" / "metrics"))
        watch = asyncio.create_task(self.policy.watch(lambda: write_watched(self.settings, self.policy.current)))
        self.watching.start()
        try:
            await self._start(stop)
            if not stop.is_set():
                print(_doors(self.settings, self.policy), flush=True)
            await stop.wait()
            return 0
        except StartFailed as failed:
            print(f"douane: {failed}", file=sys.stderr, flush=True)
            return 1
        finally:
            watch.cancel()
            await self._stop()
            stop_metrics()

    async def _start(self, stop: asyncio.Event) -> None:
        """Start all children, unless somebody asks us to stop before they are there."""
        starting = asyncio.create_task(self._start_all())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not starting.done():
            starting.cancel()
            return
        await starting

    async def _start_all(self) -> None:
        """Envoy comes last: no door opens before everything behind it is ready."""
        *behind, envoy = self.runners
        _say(f"starting {', '.join(runner.child.name for runner in behind)} …")
        await asyncio.gather(*(runner.start(_START_S) for runner in behind))
        _say("starting envoy …")
        await envoy.start(_START_S)

    async def _stop(self) -> None:
        _say("stopping: open answers are finished first …")
        await self._drain()
        await self.watching.last_look()
        *behind, envoy = self.runners
        workers = [runner for runner in behind if runner.child.name.startswith("worker")]
        await self._end([envoy])
        await self.watching.finish()  # Envoy has flushed its log, and analytics still takes what it says
        for together in (workers, [runner for runner in behind if runner not in workers]):
            await self._end(together)
        _say("stopped")

    async def _end(self, together: list[Runner]) -> None:
        await asyncio.gather(*(runner.stop(self.settings.drain_s + 10.0) for runner in together))

    async def _drain(self) -> None:
        """Let Envoy refuse new connections and finish what it carries, within drain_s."""
        admin = f"http://127.0.0.1:{self.settings.admin_port}"
        if await asyncio.to_thread(ask, f"{admin}/drain_listeners?graceful&skip_exit", "POST") is None:
            return
        until = asyncio.get_running_loop().time() + self.settings.drain_s
        while asyncio.get_running_loop().time() < until:
            text = await asyncio.to_thread(ask, f"{admin}/stats?filter={_OPEN}", "GET")
            if text is None or all(line.endswith(b": 0") for line in text.split(b"\n") if line):
                return
            await asyncio.sleep(0.1)


def _say(text: str) -> None:
    print(f"douane: {text}", file=sys.stderr, flush=True)


def _doors(settings: Settings, policy: PolicyFile) -> str:
    """Return what a newcomer needs to see after the start."""
    base = f"http://{'localhost' if settings.bind == '127.0.0.1' else settings.bind}:{settings.port}"
    pages = (
        base if gateway_spec(settings, policy.current).analytics else f"http://localhost:{settings.analytics_http_port}"
    )
    provider = (
        f"  provider    a STAND-IN that answers from a script (port {settings.demo_port}): no OPENAI_API_KEY,\n"
        "              OPENROUTER_API_KEY or ANTHROPIC_API_KEY is set. Set one in the environment or in .env for real hosts."
        if settings.demo()
        else "  provider    " + ", ".join(_upstream(p.name, p.host, p.port) for p in settings.providers())
    )
    return "\n".join(
        (
            "",
            f"Douane is up ({policy.current.mode.value} mode, policy {policy.current.version}).",
            "",
            f"  base URL    {base}/v1             OPENAI_BASE_URL={base}/v1",
            f"  generate    {base}/generate",
            *_other_doors(settings),
            f"  dashboard   {pages}/dashboard",
            f"  API docs    {pages}/docs",
            f"  metrics     http://localhost:{settings.metrics_port}/metrics (sidecar), "
            f"http://localhost:{settings.analytics_http_port}/metrics (analytics)",
            provider,
            f"  policy      {policy_path(settings) or 'built-in'}  (edit it: read again at once)",
            f"  data, logs  {settings.folder}",
            "",
            "Ctrl-C stops it; open answers are finished first.",
            "",
        )
    )


def _other_doors(settings: Settings) -> tuple[str, ...]:
    """Return the doors for programs that keep their base URL."""
    host = "localhost" if settings.proxy_bind == "127.0.0.1" else settings.proxy_bind
    proxy = f"  proxy       http://{host}:{settings.proxy_port}              douane run -- python app.py"
    transparent = f"  transparent port {settings.transparent_port}                        envoy/capture.sh up"
    return (*((proxy,) if settings.proxy_port else ()), *((transparent,) if settings.transparent_port else ()))


def _upstream(name: str, host: str, port: int) -> str:
    return f"{name} ({host}:{port})"
