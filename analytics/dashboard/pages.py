"""The pages: overview, its refreshed part, one decision.

In: the store, read as the API reads it. Out: HTML from templates that escape everything; scripts and styles are files,
so that the Content-Security-Policy allows nothing inline. Never: `| safe` on text of records.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analytics.access.identify import Known
from analytics.access.log_in import csrf_token
from analytics.access.principal import Principal
from analytics.api.auth import Viewer, Whoever
from analytics.api.context import Context, Use
from analytics.dashboard import charts, coverage
from analytics.insight import recommendations as insight
from analytics.store import records, search, sketch, usage
from analytics.types import DAY_S, HOUR_S

_FOLDER = Path(__file__).parent
LATEST = 25
_ID = re.compile(r"[0-9a-f]{32}")
_SPANS = {"1h": HOUR_S, "24h": DAY_S, "7d": 7 * DAY_S, "30d": 30 * DAY_S}
Span = Literal["1h", "24h", "7d", "30d"]

router = APIRouter(include_in_schema=False)


def _moment(unix_us: float) -> str:
    return datetime.fromtimestamp(unix_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.0f} ms" if value >= 0.01 else f"{value * 1e3:.2f} ms"


def _number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.1f} M"
    return f"{value / 1e3:.1f} k" if value >= 10_000 else f"{value:,.0f}".replace(",", "\u202f")


def _size(count: int) -> str:
    """Return bytes as people read them."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} B"


_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TEMPLATES.filters |= {"moment": _moment, "seconds": _seconds, "number": _number, "size": _size}


@router.get("/dashboard")
def overview(context: Use, who: Viewer, found: Whoever, span: Annotated[Span, Query()] = "24h") -> HTMLResponse:
    """Return the page."""
    return page("overview.html", found, **_numbers(context, who, span))


@router.get("/dashboard/fragment")
def fragment(context: Use, who: Viewer, found: Whoever, span: Annotated[Span, Query()] = "24h") -> HTMLResponse:
    """Return the part of the page that the script replaces every few seconds."""
    return page("fragment.html", found, **_numbers(context, who, span))


@router.get("/dashboard/decisions/{decision_id}")
def decision(context: Use, who: Viewer, found: Whoever, decision_id: str) -> HTMLResponse:
    """Return one decision with its threats and reasons."""
    if not _ID.fullmatch(decision_id):
        return page("missing.html", found, status=404, decision_id=decision_id)
    with context.engine.connect() as connection:
        row = records.read(connection, [decision_id]).get(decision_id)
    if row is None or not who.sees(row.tenant):
        return page("missing.html", found, status=404, decision_id=decision_id)
    return page("decision.html", found, row=row, threats=row.threats, detail=row.detail)


def _numbers(context: Context, who: Principal, span: Span) -> dict[str, Any]:
    with context.engine.connect() as connection:
        found = usage.read(connection, usage.last(_SPANS[span], context.clock()), who.tenant)
        # What was not inspected is kept by workload, and workloads name no tenant.
        passed = coverage.numbers(connection, found.window, context.clock()) if who.tenant is None else None
        latest = search.page(connection, search.Filter(tenant=who.tenant), LATEST).rows
    settings = context.settings
    thresholds = insight.Thresholds(settings.alert_latency_threshold, settings.auto_block_critical_threats)
    return {
        "span": span,
        "spans": tuple(_SPANS),
        "usage": found,
        "p95": sketch.quantiles(found.totals.latency, (0.95,))[0],
        "slow_s": settings.alert_latency_threshold,
        "timeline": charts.timeline(found.timeline, found.window.grain_s),
        "advice": insight.recommend(found, thresholds)[:3],
        "latest": latest,
        "coverage": passed,
        "now": _moment(context.clock() * 1e6),
    }


def page(template: str, found: Known, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page as whoever asks sees it: with their name and a way out when they logged in."""
    values |= {"account": "", "csrf_token": ""}
    if found.session is not None:
        values |= {"account": found.session.account, "csrf_token": csrf_token(found.secret)}
    return HTMLResponse(_TEMPLATES.get_template(template).render(values), status, headers={"cache-control": "no-store"})


def install(application: FastAPI) -> None:
    """Serve the pages and their files; the root leads to them."""
    application.include_router(router)
    application.mount("/dashboard/static", StaticFiles(directory=_FOLDER / "static"), name="dashboard")


@router.get("/")
def root(request: Request) -> HTMLResponse:
    """Lead to the dashboard."""
    return HTMLResponse(status_code=307, headers={"location": f"{request.scope.get('root_path', '')}/dashboard"})
