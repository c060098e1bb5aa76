import pytest

from analytics import config


def test_defaults_are_the_missions(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.load()
    values = (
        settings.alert_security_threshold,
        settings.alert_latency_threshold,
        settings.auto_block_critical_threats,
        settings.http_host,
        settings.http_port,
        settings.grpc_port,
    )
    assert values == (5.0, 5.0, True, "127.0.0.1", 8080, 8081)


def test_every_field_has_a_help_line() -> None:
    assert [name for name, field in config.Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("prefix", ["", config.PREFIX])
def test_the_missions_names_are_read_with_and_without_prefix(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv(f"{prefix}ALERT_SECURITY_THRESHOLD", "7")
    monkeypatch.setenv(f"{prefix}ALERT_LATENCY_THRESHOLD", "2.5")
    monkeypatch.setenv(f"{prefix}AUTO_BLOCK_CRITICAL_THREATS", "false")
    settings = config.load()
    assert (settings.alert_security_threshold, settings.alert_latency_threshold) == (7.0, 2.5)
    assert settings.auto_block_critical_threats is False


def test_options_overrule_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUANE_ANALYTICS_HTTP_PORT", "9000")
    monkeypatch.setenv("DOUANE_ANALYTICS_GRPC_PORT", "9001")
    settings = config.load(http_port="9002", grpc_port=None)
    assert (settings.http_port, settings.grpc_port) == (9002, 9001)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "DOUANE_ANALYTICS_HTTP_PORT",
            "70000",
            "DOUANE_ANALYTICS_HTTP_PORT: a text of 5 characters is not allowed: Input should be less than or equal to 65535",
        ),
        (
            "ALERT_LATENCY_THRESHOLD",
            "soon",
            "ALERT_LATENCY_THRESHOLD: a text of 4 characters is not allowed: "
            "Input should be a valid number, unable to parse string as a number",
        ),
        (
            "DOUANE_ANALYTICS_LOG_LEVEL",
            "loud",
            "DOUANE_ANALYTICS_LOG_LEVEL: a text of 4 characters is not allowed: "
            "Input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "DOUANE_ANALYTICS_DATABASE_URL",
            "mysql://root:hunter2@db/x",
            "DOUANE_ANALYTICS_DATABASE_URL: a text of 25 characters is not allowed: "
            "give sqlite://... or postgresql+psycopg://...",
        ),
        (
            "DOUANE_ANALYTICS_ALLOW_REMOTE",
            "true",
            "DOUANE_ANALYTICS_ALLOW_REMOTE: it was removed: beyond loopback everybody logs in now. Unset it, and make an "
            "administrator: `douane-analytics accounts add alice --role admin`, or set DOUANE_ANALYTICS_ADMIN_PASSWORD",
        ),
    ],
)
def test_a_bad_value_names_variable_shape_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(config.ConfigError) as caught:
        config.load()
    assert str(caught.value) == message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses(host: str) -> None:
    assert config.load(http_host=host, grpc_host=host).http_host == host


def test_the_database_stands_in_the_data_folder_unless_named() -> None:
    assert config.load(data_dir="/srv/douane").url == "sqlite:////srv/douane/analytics.db"
    named = config.load(database_url="postgresql+psycopg://douane:hunter2@db/douane")
    assert named.url == "postgresql+psycopg://douane:hunter2@db/douane"
    assert "hunter2" not in repr(named)
