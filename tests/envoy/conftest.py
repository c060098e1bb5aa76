"""Installations that several tests use: one that enforces, one that observes. Both against a scripted provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.upstream import Upstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[Upstream]:
    provider = Upstream()
    yield provider
    provider.close()


@pytest.fixture(scope="package")
def enforcing(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    installation = Installation(_folder(tmp_path_factory), DOUANE_UPSTREAMS=f"openai={upstream.url}").wait()
    yield installation
    assert installation.stop() == 0


@pytest.fixture(scope="package")
def observing(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Installation]:
    installation = Installation(
        _folder(tmp_path_factory), DOUANE_UPSTREAMS=f"openai={upstream.url}", DOUANE_MODE="observe"
    ).wait()
    yield installation
    assert installation.stop() == 0


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("d") / "data"
