from typing import Any

import pytest

from analytics import config
from analytics.config import ConfigError


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sidecar_token": "short"}, "at least 32 characters"),
        ({"public_url": "https://douane.example/below"}, "give scheme and host"),
        ({"trusted_proxies": "10.0.0.0/8, nowhere"}, "nowhere"),
        ({"oidc_issuer": "http://id.example"}, "an issuer's URL is https"),
        ({"oidc_roles": "ops=king"}, "roles are viewer, analyst, admin"),
        ({"session_idle_s": 1}, "greater than or equal to 60"),
        ({"grpc_cert": "/x.pem"}, "DOUANE_ANALYTICS_GRPC_CERT: it needs DOUANE_ANALYTICS_GRPC_KEY beside it"),
        (
            {"grpc_client_ca": "/x.pem"},
            "DOUANE_ANALYTICS_GRPC_CLIENT_CA: it needs DOUANE_ANALYTICS_GRPC_CERT beside it",
        ),
        ({"oidc_issuer": "https://id.example"}, "DOUANE_ANALYTICS_OIDC_ISSUER: it needs"),
    ],
)
def test_what_cannot_work_is_named(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        config.load(**settings)


def test_lists_are_read_from_text() -> None:
    read = config.load(
        trusted_proxies="10.0.0.0/8, ::1/128",
        public_url="https://Douane.example/",
        oidc_issuer="https://id.example",
        oidc_client_id="douane",
        oidc_roles="ops=admin,acme-soc=analyst@acme",
    )
    assert (read.trusted_proxies, read.origins, read.oidc_roles) == (
        ("10.0.0.0/8", "::1/128"),
        ("https://douane.example",),
        {"ops": "admin", "acme-soc": "analyst@acme"},
    )
    assert config.load().origins == ()


def test_a_secret_prints_stars() -> None:
    read = config.load(sidecar_token="s" * 40, admin_password="correct horse battery")
    assert ("s" * 40 in repr(read), "correct horse" in repr(read)) == (False, False)
