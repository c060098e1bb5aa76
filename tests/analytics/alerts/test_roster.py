"""The roster: channels of the settings and of the API, what is shown of them, what cannot work."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from analytics import config
from analytics.alerts import http
from analytics.alerts.channels import CHANNELS
from analytics.alerts.roster import Roster, masked
from analytics.alerts.vault import Vault
from analytics.config import ConfigError
from analytics.store import alert_settings, database
from analytics.types.alerts import Channel, Delivery
from tests.analytics.alerts.sample import notice
from tests.analytics.alerts.test_wanted import channel

EVERYTHING: dict[str, Any] = {
    "alert_email_to": "ops@example.com, sec@example.com",
    "smtp_password": "p4ssw0rd",
    "slack_webhook_url": "https://hooks.slack.com/services/T/B/s3cret",
    "teams_webhook_url": "https://prod.example.com/workflows/s3cret?sig=s3cret",
    "alert_webhook_url": "https://user:s3cret@hooks.example.com/x",
    "alert_webhook_secret": "s3cret" * 10,
    "alert_apprise_url": "ntfy://s3cret@ntfy.example.com/topic",
    "alert_quiet_hours": "22:00-07:00 Europe/Paris",
    "alert_escalation_channels": "teams,apprise",
}


def roster(folder: Path, **settings: Any) -> Roster:
    given = config.load(data_dir=folder, alert_secret_key="k" * 32, **settings)
    return Roster(given, Vault(given), http.Rim(lambda *_: Delivery("ok"), lambda: 0.0))


def test_without_settings_there_is_no_channel(tmp_path: Path) -> None:
    assert roster(tmp_path).of_settings == ()


def test_the_settings_make_channels(tmp_path: Path) -> None:
    plain = {"tenant": "", "rules": (), "quiet": "22:00-07:00 Europe/Paris", "sealed": ""}
    least = {"email": "warning", "slack": "warning", "teams": "critical", "webhook": "warning", "apprise": "critical"}
    assert roster(tmp_path, **EVERYTHING).of_settings == tuple(
        Channel(kind, f"{kind} (settings)", kind, least=level, after_s=900 if level == "critical" else 0, **plain)  # type: ignore[arg-type]
        for kind, level in least.items()
    )


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    made = roster(tmp_path, **EVERYTHING)
    shown = {one.kind: made.shown(one) for one in made.of_settings}
    assert shown == {
        "email": {
            "to": ["ops@example.com", "sec@example.com"],
            "sender": "douane@localhost",
            "host": "localhost",
            "port": 587,
            "encryption": "starttls",
            "user": "",
            "password": "********",
            "ca_file": "",
        },
        "slack": {"url": "https://hooks.slack.com/********"},
        "teams": {"url": "https://prod.example.com/********"},
        "webhook": {"url": "https://hooks.example.com/********", "secret": "********"},
        "apprise": {"url": "ntfy://********"},
    }
    texts = repr((made.of_settings, shown, [made.config(one) for one in made.of_settings]))
    assert "s3cret" not in texts
    assert "p4ssw0rd" not in texts


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"slack_webhook_url": "http://hooks.slack.com/s3cret"}, "SLACK_WEBHOOK_URL"),
        ({"teams_webhook_url": "s3cret"}, "TEAMS_WEBHOOK_URL"),
        ({"alert_webhook_url": "https://x.org", "alert_webhook_secret": "s3cret"}, "ALERT_WEBHOOK_SECRET"),
        ({"alert_email_to": "s3cret"}, "ALERT_EMAIL_TO"),
        ({"alert_email_to": "a@x.org", "smtp_from": "s3cret"}, "SMTP_FROM"),
        ({"alert_apprise_url": "nosuchthing://s3cret"}, "ALERT_APPRISE_URL"),
    ],
)
def test_a_channel_that_cannot_work_stops_the_start(tmp_path: Path, settings: dict[str, str], names: str) -> None:
    with pytest.raises(ConfigError) as stopped:
        roster(tmp_path, **settings)
    assert str(stopped.value).startswith(f"{names}: ")
    assert "s3cret" not in str(stopped.value)


def test_channels_of_the_store_come_after_those_of_the_settings(sqlite_engine: Engine, tmp_path: Path) -> None:
    made = roster(tmp_path, slack_webhook_url="https://hooks.slack.com/x")
    url = SecretStr("https://hooks.example.com/s3cret")
    stored = channel(channel_id="c1", kind="webhook", sealed=made.seal(CHANNELS["webhook"].config(url=url)))
    with database.writing(sqlite_engine) as connection:
        alert_settings.write_channel(connection, stored)
        assert [one.channel_id for one in made.all(connection)] == ["slack", "c1"]
        assert made.find(connection, "c1") == stored
        assert made.find(connection, "slack") == made.of_settings[0]
        assert made.find(connection, "c2") is None
    assert made.shown(stored) == {"url": "https://hooks.example.com/********", "secret": ""}
    assert made.sender(stored)(notice()) == Delivery("ok")


def test_a_sender_is_made_once_a_configuration(tmp_path: Path) -> None:
    made = roster(tmp_path)
    seal = lambda path: made.seal(CHANNELS["slack"].config(url=f"https://hooks.slack.com/{path}"))  # noqa: E731
    one = channel(channel_id="c1", sealed=seal("a"))
    assert made.sender(one) is made.sender(one)
    assert made.sender(replace(one, sealed=seal("b"))) is not made.sender(one)


@pytest.mark.parametrize("sealed", ["with another key", ""])
def test_what_cannot_be_opened_fails_and_says_why(tmp_path: Path, sealed: str) -> None:
    made = roster(tmp_path)
    foreign = channel(channel_id="c1", sealed=sealed or made._vault.seal({"url": "no longer allowed"}))
    assert made.shown(foreign) is None
    delivery = made.sender(foreign)(notice())
    assert (delivery.result, delivery.detail.partition(":")[0]) == (
        "failed",
        "the channel's configuration cannot be read",
    )


def test_masking_tells_whether_a_secret_is_set() -> None:
    assert masked(CHANNELS["webhook"].config(url="http://h:8/p?q#f")) == {"url": "http://h:8/********", "secret": ""}
