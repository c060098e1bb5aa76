"""Settings of access: what stops the start, and what others get in by."""

import pytest

from analytics import config


@pytest.mark.parametrize(
    ("settings", "exposed"),
    [
        ({}, ""),
        ({"http_host": "::1", "grpc_host": "localhost"}, ""),
        ({"http_host": "0.0.0.0"}, "DOUANE_ANALYTICS_HTTP_HOST"),
        ({"grpc_host": "10.0.0.7"}, "DOUANE_ANALYTICS_GRPC_HOST"),
        ({"authentication": "required"}, "DOUANE_ANALYTICS_AUTHENTICATION"),
    ],
)
def test_what_lets_others_in_is_named(settings: dict[str, str], exposed: str) -> None:
    assert config.load(**settings).exposed == exposed


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"grpc_cert": "/c"}, "DOUANE_ANALYTICS_GRPC_CERT: it needs DOUANE_ANALYTICS_GRPC_KEY beside it"),
        ({"grpc_client_ca": "/c"}, "DOUANE_ANALYTICS_GRPC_CLIENT_CA: it needs DOUANE_ANALYTICS_GRPC_CERT beside it"),
        (
            {"oidc_issuer": "https://id.test"},
            "DOUANE_ANALYTICS_OIDC_ISSUER: it needs DOUANE_ANALYTICS_OIDC_CLIENT_ID beside it",
        ),
        (
            {"oidc_issuer": "https://id.test", "oidc_client_id": "d", "oidc_roles": "ops=admin"},
            "DOUANE_ANALYTICS_OIDC_ISSUER: it needs DOUANE_ANALYTICS_PUBLIC_URL beside it",
        ),
    ],
)
def test_half_a_pair_stops_the_start(settings: dict[str, str], told: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.load(**settings)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ISSUER", "http://id.test"),
        ("OIDC_ROLES", "ops=owner"),
        ("OIDC_ROLES", "admin"),
        ("PUBLIC_URL", "https://douane.test/path"),
        ("PUBLIC_URL", "douane.test"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("SIDECAR_TOKEN", "short"),
        ("SESSION_IDLE_S", "1"),
        ("AUTHENTICATION", "off"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(config.PREFIX + name, value)
    with pytest.raises(config.ConfigError) as caught:
        config.load()
    told = str(caught.value)
    assert told.startswith(f"{config.PREFIX}{name}: a ")
    assert f"{value} is not allowed" not in told


def test_lists_and_pairs_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUANE_ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128")
    monkeypatch.setenv("DOUANE_ANALYTICS_OIDC_ROLES", "ops=admin,cn=soc=analyst@acme")
    monkeypatch.setenv("DOUANE_ANALYTICS_PUBLIC_URL", "https://Douane.example/")
    settings = config.load()
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.oidc_roles == {"ops": "admin", "cn=soc": "analyst@acme"}
    assert settings.origins == ("https://douane.example",)


def test_an_empty_token_is_none_and_secrets_do_not_show() -> None:
    assert config.load(sidecar_token="").sidecar_token is None
    shown = repr(config.load(sidecar_token="x" * 32, admin_password="sesame-sesame", oidc_client_secret="s3cret"))
    assert not [one for one in ("x" * 32, "sesame-sesame", "s3cret") if one in shown]
