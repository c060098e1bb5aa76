"""Settings of alerts: from where on something is one, how people are told, and through which channels.

Each threshold says where it comes from; the two that the mission names stand in config/thresholds.py.
Never: the content of a webhook's URL, a password or a key in a text: they are SecretStr.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

from analytics.alerts import quiet
from analytics.config.fields import Port, also

Level = Literal["info", "warning", "critical"]


def _hours(value: str) -> str:
    quiet.parse(value)
    return value


class AlertRuleSettings(BaseSettings):
    """From where on something is an alert."""

    alert_leak_score: float = Field(
        default=5.0,
        ge=0,
        description="Score of a leak (secret, personal data, system prompt, exfiltration) that left, from which it is an "
        "alert; as ALERT_SECURITY_THRESHOLD.",
    )
    alert_slow_calls: int = Field(
        default=10, ge=2, description="Slow calls of one model from which the open alert is WARNING instead of INFO."
    )
    alert_campaign_users: int = Field(
        default=3, ge=2, description="Users with the same matched text in alert_campaign_window_s that make a campaign."
    )
    alert_campaign_rule_users: int = Field(
        default=10, ge=2, description="Users who met the same attack rule in alert_campaign_window_s that make one."
    )
    alert_campaign_window_s: int = Field(default=3_600, ge=60, le=86_400, description="Length of that window.")
    # Google, SRE Workbook, "Alerting on SLOs": minutes for what is urgent; a quarter of an hour holds enough calls to count.
    alert_window_s: int = Field(
        default=900, ge=120, le=7_200, description="Seconds that error rate and latency drift are looked at over."
    )
    alert_least_calls: int = Field(
        default=30,
        ge=1,
        description="Calls below which a share or a quantile of a window says nothing (rule of thumb).",
    )
    alert_error_rate: float = Field(
        default=0.1, gt=0, le=1, description="Share of failed calls of a model that is a WARNING."
    )
    alert_error_rate_critical: float = Field(
        default=0.5, gt=0, le=1, description="Share of failed calls of a model that is CRITICAL."
    )
    alert_drift_factor: float = Field(
        default=1.5, gt=1, description="A model's p95 latency, held against the same hours of the last days."
    )
    alert_drift_least_s: float = Field(
        default=1.0, ge=0, description="Seconds that p95 must have grown by as well, so that fast models do not alarm."
    )
    alert_usual_days: int = Field(
        default=7, ge=1, le=28, description="Days whose same hours say what is usual: a week holds each day once."
    )
    alert_cost_factor: float = Field(
        default=3.0, gt=1, description="An hour's spending of a tenant, held against the median of the same hours."
    )
    alert_cost_least_usd: float = Field(
        default=5.0, ge=0, description="US dollars an hour below which a jump in spending is no alert."
    )
    alert_budget_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of a budget that is a WARNING; all of it is CRITICAL."
    )
    alert_risk_jump: float = Field(
        default=15.0, gt=0, description="A user's decayed risk from which it is an alert; CRITICAL begins at 15."
    )
    alert_silence_s: int = Field(
        default=1_800, ge=300, le=7_200, description="Seconds without any call that are an alert where calls are usual."
    )
    alert_silence_calls: int = Field(
        default=50, ge=1, description="Calls that the same stretch of the last days usually had (median), for that."
    )
    alert_sidecar_silent_s: int = Field(
        default=300,
        ge=60,
        description="Seconds without a coverage report of a running sidecar: 20 reports are missing.",
    )


class AlertHandlingSettings(BaseSettings):
    """How alerts are grouped, repeated, escalated and kept."""

    alert_base_url: str = Field(
        default="http://localhost:8000",
        pattern=r"^https?://[^\s\"<>|]+$",
        validation_alias=also("ALERT_BASE_URL"),
        description="Where people reach the dashboard: what links in alerts begin with.",
    )
    # Prometheus Alertmanager's repeat_interval, prometheus.io/docs/alerting/latest/configuration, 2026-11.
    alert_renotify_s: int = Field(
        default=14_400,
        ge=60,
        description="Seconds after which an alert that goes on is told again, unless acknowledged.",
    )
    alert_burst: int = Field(
        default=20, ge=1, description="Alerts of one rule in alert_burst_window_s; further ones join one alert."
    )
    alert_burst_window_s: int = Field(default=600, ge=10, description="Length of that window.")
    # Alertmanager's resolve_timeout: what was not seen for five minutes is over.
    alert_recover_s: int = Field(
        default=300, ge=30, description="Seconds that a trend must be gone before its alert is resolved."
    )
    alert_close_s: int = Field(
        default=86_400,
        ge=600,
        description="Seconds without a new occurrence after which an alert over records is closed; CRITICAL ones once "
        "they are acknowledged.",
    )
    alert_keep_days: int = Field(default=90, ge=1, description="Days that resolved alerts and sent notices are kept.")
    alert_poll_s: float = Field(
        default=5.0, ge=0.1, le=300, description="Seconds between looks at the outbox; a commit wakes it at once."
    )
    alert_give_up_s: int = Field(
        default=86_400, ge=60, description="Seconds that an undeliverable notice is tried before it is given up."
    )


Hours = Annotated[str, AfterValidator(_hours)]


class AlertChannelSettings(BaseSettings):
    """Channels that the environment names; further ones are made through the API."""

    alert_min_level: Level = Field(
        default="warning", description="Least level that these channels are told of: info, warning or critical."
    )
    alert_quiet_hours: Hours = Field(
        default="", description="Hours in which they are told CRITICAL alone: 22:00-07:00 Europe/Paris."
    )
    alert_escalation_channels: str = Field(
        default="",
        pattern=r"^(email|slack|teams|webhook|apprise)?(,(email|slack|teams|webhook|apprise))*$",
        description="Those of them that are told only of CRITICAL alerts nobody acknowledged in alert_escalate_after_s.",
    )
    alert_escalate_after_s: int = Field(default=900, ge=1, description="Seconds until then.")
    alert_email_to: str = Field(
        default="", validation_alias=also("ALERT_EMAIL_TO"), description="Addresses that get alerts, by commas."
    )
    smtp_host: str = Field(default="localhost", validation_alias=also("SMTP_HOST"), description="The SMTP server.")
    smtp_port: Port = Field(default=587, validation_alias=also("SMTP_PORT"), description="Its port.")
    smtp_encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", validation_alias=also("SMTP_ENCRYPTION"), description="starttls, tls (port 465) or none."
    )
    smtp_user: str = Field(default="", validation_alias=also("SMTP_USER"), description="Log-in, empty without.")
    smtp_password: SecretStr = Field(
        default=SecretStr(""), validation_alias=also("SMTP_PASSWORD"), description="Its password."
    )
    smtp_from: str = Field(
        default="douane@localhost", validation_alias=also("SMTP_FROM"), description="The From address."
    )
    smtp_ca_file: str = Field(
        default="", validation_alias=also("SMTP_CA_FILE"), description="Certificates to trust; empty: the machine's."
    )
    slack_webhook_url: SecretStr = Field(
        default=SecretStr(""), validation_alias=also("SLACK_WEBHOOK_URL"), description="A Slack incoming webhook."
    )
    teams_webhook_url: SecretStr = Field(
        default=SecretStr(""), validation_alias=also("TEAMS_WEBHOOK_URL"), description="A Teams Workflows webhook."
    )
    alert_webhook_url: SecretStr = Field(
        default=SecretStr(""), validation_alias=also("ALERT_WEBHOOK_URL"), description="Gets alerts as signed JSON."
    )
    alert_webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=also("ALERT_WEBHOOK_SECRET"),
        description="Signs them (Standard Webhooks).",
    )
    alert_apprise_url: SecretStr = Field(
        default=SecretStr(""), validation_alias=also("ALERT_APPRISE_URL"), description="Any Apprise URL."
    )
    alert_secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Seals channels made through the API; give every replica the same. Unset: alerts.key in data_dir.",
    )


class AlertSettings(AlertRuleSettings, AlertHandlingSettings, AlertChannelSettings):
    """All settings of alerts."""
