import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from analytics import config
from analytics.alerts import service
from analytics.ingest.commit import Books
from analytics.ingest.decode import decode
from tests.analytics.alerts.receivers import http
from tests.analytics.traffic import record

pytestmark = pytest.mark.server
SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"


def test_a_critical_record_reaches_its_channel_and_is_counted(engine: Engine, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with http() as receiver:
        settings = config.load(data_dir=tmp_path, alert_webhook_url=receiver.url, alert_webhook_secret=SECRET)
        alerting = service.build(settings, engine, time.time, registry)
        alerting.start()
        row = replace(decode(record(9)), score=17.5, level="critical")
        Books(engine, (alerting.desk.ledger,), (alerting.desk.listener,)).store([row])
        receiver.wait(1)
        alerting.stop(5)
    assert len(receiver.received) == 1
    labels = {"kind": "webhook", "result": "ok"}
    assert registry.get_sample_value("douane_alert_deliveries_total", labels) == 1


def test_what_was_not_told_is_told_by_the_next_start(engine: Engine, tmp_path: Path) -> None:
    with http() as receiver:
        settings = config.load(data_dir=tmp_path, alert_webhook_url=receiver.url, alert_webhook_secret=SECRET)
        first = service.build(settings, engine, time.time)  # killed before it began to tell
        row = replace(decode(record(9)), score=17.5, level="critical")
        Books(engine, (first.desk.ledger,), (first.desk.listener,)).store([row])
        first.client.close()
        second = service.build(settings, engine, time.time)
        second.start()
        receiver.wait(1)
        second.stop(5)
    assert len(receiver.received) == 1
