"""Swagger UI at /docs, from files of our own: it works without a network and asks no foreign host.

swagger/VENDOR.yaml names the version, licence and hashes of what is vendored.
"""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_FOLDER = Path(__file__).parent / "swagger"
_PAGE = (_FOLDER / "index.html").read_text(encoding="utf-8")
# Swagger UI sets style attributes on its elements.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs() -> HTMLResponse:
    """Return the page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _CSP})


def install(application: FastAPI) -> None:
    """Serve the page and its files."""
    application.include_router(router)
    application.mount("/docs/static", StaticFiles(directory=_FOLDER), name="swagger")
