from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from sqlalchemy import Engine

from analytics.access.principal import Principal
from analytics.api import alerting
from analytics.api.errors import ApiError
from tests.analytics.api.alarm import Alarm


def test_moments_go_both_ways() -> None:
    when = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
    assert alerting.moment(alerting.unix_us(when) or 0) == when
    assert (alerting.maybe(None), alerting.unix_us(None), alerting.maybe(0)) == (
        None,
        None,
        datetime(1970, 1, 1, tzinfo=UTC),
    )


def test_what_is_made_belongs_to_the_askers_tenant() -> None:
    everybody, acme = Principal("root", "admin"), Principal("ann", "analyst", "acme")
    assert [alerting.tenant_of(everybody, ""), alerting.tenant_of(everybody, "x")] == ["", "x"]
    assert [alerting.tenant_of(acme, ""), alerting.tenant_of(acme, "acme")] == ["acme", "acme"]
    with pytest.raises(ApiError, match="bound to the tenant acme"):
        alerting.tenant_of(acme, "x")


def test_the_desk_is_the_applications_own_or_made_once(engine: Engine, tmp_path: Path) -> None:
    alarm = Alarm(engine, tmp_path)
    request = Request({"type": "http", "app": alarm.application})
    assert alerting._desk(request) is alarm.alerting.desk
    bare = FastAPI()
    bare.state.context = alarm.application.state.context
    asked = Request({"type": "http", "app": bare})
    assert alerting._desk(asked) is alerting._desk(asked)
    alarm.close()
