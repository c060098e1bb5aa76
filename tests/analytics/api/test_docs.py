import hashlib
import re
from pathlib import Path

import yaml
from starlette.testclient import TestClient

import analytics.api

FOLDER = Path(analytics.api.__file__).parent / "swagger"


def test_page_and_its_files_come_from_here(client: TestClient) -> None:
    page = client.get("/docs")
    references = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    files = [one for one in references if one != "data:,"]
    assert files == ["/docs/static/swagger-ui.css", "/docs/static/swagger-ui-bundle.js", "/docs/static/start.js"]
    assert [client.get(one).status_code for one in files] == [200, 200, 200]
    assert not re.search(r"https?://", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_swagger_does_not_ask_a_foreign_validator(client: TestClient) -> None:
    assert "validatorUrl: null" in client.get("/docs/static/start.js").text


def test_vendored_files_are_the_ones_named() -> None:
    vendored = yaml.safe_load((FOLDER / "VENDOR.yaml").read_text(encoding="utf-8"))["sha256"]
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in vendored} == vendored
