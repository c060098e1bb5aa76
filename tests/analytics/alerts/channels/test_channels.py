"""The registry of channels."""

from analytics.alerts.channels import CHANNELS


def test_every_kind_has_a_configuration_that_takes_nothing_unknown() -> None:
    assert list(CHANNELS) == ["email", "slack", "teams", "webhook", "apprise"]
    assert {name: kind.config.model_config["extra"] for name, kind in CHANNELS.items()} == dict.fromkeys(
        CHANNELS, "forbid"
    )
