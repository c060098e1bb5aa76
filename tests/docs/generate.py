"""Writes docs/reference.md and the tables in README.md: settings, metrics, rules, endpoints, as the code has them.

Run by `make docs`; tests/test_docs.py compares.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from pydantic_settings import BaseSettings

import analytics.config
import sidecar.config
from analytics.alerts import service as alerts
from analytics.api.application import build
from analytics.api.context import Context
from analytics.control import serve as steering
from analytics.ingest.depths import StreamMetrics
from analytics.live.feed import Feed
from analytics.live.replicas import Relay
from analytics.redis_client import Link
from analytics.schedule.scheduler import ScheduleMetrics
from analytics.store.database import connect
from analytics.telemetry import Metrics
from analytics.tracing.exporter import TracingMetrics
from sidecar import telemetry
from sidecar.detectors import PACKS
from sidecar.detectors.contextual import CONTEXTUAL
from sidecar.detectors.pii import RULES as PERSONAL
from sidecar.detectors.shapes import RULES as SECRETS

ROOT = Path(__file__).parents[2]
README, REFERENCE = ROOT / "README.md", ROOT / "docs" / "reference.md"


def settings_rows(settings: type[BaseSettings], prefix: str) -> list[tuple[str, str, str]]:
    """Return (variable, default, description) of every field."""
    rows = []
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        choices = [str(c) for c in getattr(alias, "choices", ())] or ([alias] if isinstance(alias, str) else [])
        variable = next((c for c in choices if not c.startswith("DOUANE_")), f"{prefix}{name.upper()}")
        rows.append((f"`{variable}`", _default(field), field.description or ""))
    return rows


def _default(field: Any) -> str:
    if field.default_factory is dict:
        return "none"
    if field.default_factory is not None:
        return "one per core" if "worker" in (field.description or "") else "found on this machine"
    value = field.default
    if value is None or value == "":
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def sidecar_settings() -> str:
    """Return the table of the sidecar's settings."""
    return table(("variable", "default", "meaning"), settings_rows(sidecar.config.Settings, "DOUANE_"))


def analytics_settings() -> str:
    """Return the table of analytics' settings."""
    return table(("variable", "default", "meaning"), settings_rows(analytics.config.Settings, analytics.config.PREFIX))


def sidecar_metrics() -> str:
    """Return the table of the sidecar's metrics."""
    found = [value for value in vars(telemetry).values() if hasattr(value, "_labelnames")]
    return table(("metric", "labels", "meaning"), [_metric(one) for one in found])


def _metric(metric: Any) -> tuple[str, str, str]:
    name = metric._name + ("_total" if metric._type == "counter" else "")
    return f"`{name}`", ", ".join(f"`{label}`" for label in metric._labelnames), metric._documentation


def analytics_metrics() -> str:
    """Return the table of analytics' metrics: those of every part, and the score, which is computed when asked for."""
    registry = Metrics(1, 1, 5.0).registry
    for part in (steering.Metrics, StreamMetrics, ScheduleMetrics, TracingMetrics):
        part(registry)
    engine = connect("sqlite://")
    alerts.build(analytics.config.Settings(), engine, float, registry).client.close()
    engine.dispose()
    Relay(Feed(float), Link("redis://127.0.0.1"), registry)  # connects when it starts
    found = [one for one in registry._collector_to_names if hasattr(one, "_labelnames")]
    score = (
        "`model_performance_score`",
        "`model`",
        "Apdex of the last hour's answers, 0 to 1: the share of answers within ALERT_LATENCY_THRESHOLD, plus half of those "
        "within four times of it; errors count as 0.",
    )
    return table(("metric", "labels", "meaning"), [*(_metric(one) for one in found), score])


def rules() -> str:
    """Return the table of rules."""
    rows = [_rule(spec) for name in PACKS for spec in _specs(name)]
    rows += [
        (f"`{shape.id}`", "secret_leak", f"{shape.weight:g}", "A key of this shape.", shape.source) for shape in SECRETS
    ]
    rows += [
        (f"`{rule.id}`", rule.type.value, f"{rule.weight:g}", rule.why, rule.source)
        for one in CONTEXTUAL
        for rule in one.RULES
    ]
    rows += [
        (f"`{kind.id}`", "pii_leak", f"{kind.weight:g}", "A value of this kind.", kind.source) for kind in PERSONAL
    ]
    return table(("rule", "threat type", "weight", "what it sees", "source"), rows)


def _specs(name: str) -> list[dict[str, Any]]:
    text = (ROOT / "sidecar" / "detectors" / "packs" / f"{name}.yaml").read_bytes()
    specs: list[dict[str, Any]] = msgspec.yaml.decode(text)["rules"]
    return specs


def _rule(spec: dict[str, Any]) -> tuple[str, str, str, str, str]:
    return f"`{spec['id']}`", spec["type"], f"{spec['weight']:g}", spec["why"], spec["source"]


def endpoints() -> str:
    """Return the table of analytics' endpoints."""
    engine = connect("sqlite://")
    api = build(Context(analytics.config.Settings(), engine, float, Feed(float)), CollectorRegistry()).openapi()
    engine.dispose()
    rows = [
        (f"`{method.upper()} {path}`", _first_line(operation))
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    ]
    return table(("endpoint", "what it answers"), rows)


def _first_line(operation: dict[str, Any]) -> str:
    text: str = operation.get("description") or operation.get("summary", "")
    return text.partition("\n")[0]


def reference() -> str:
    """Return the whole of docs/reference.md."""
    parts = (
        "# Reference\n\nMade from the code by `make docs`; a test compares. README.md explains, this lists.",
        "## Settings of analytics\n\n" + analytics_settings(),
        "## Metrics of the sidecar (port 9464)\n\n" + sidecar_metrics(),
        "## Metrics of analytics (port 8080)\n\n" + analytics_metrics(),
        "## API of analytics (port 8080, and through the gateway on 8000)\n\nSwagger with examples: `/docs`.\n\n"
        + endpoints(),
        "## Rules\n\nWeights are on the mission's scale: a weight of 15 is CRITICAL alone. Scoring merges, adds and discounts;\n"
        "`sidecar/scoring.py` says how.\n\n" + rules(),
    )
    return "\n\n".join(parts) + "\n"


def filled(readme: str) -> str:
    """Return README.md with its generated table renewed."""
    block = f"<!-- settings -->\n{sidecar_settings()}\n<!-- /settings -->"
    return re.sub(r"<!-- settings -->.*?<!-- /settings -->", lambda _: block, readme, flags=re.DOTALL)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
