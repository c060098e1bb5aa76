"""Where a tenant's administrator may send."""

import pytest

from analytics.alerts import reach
from analytics.alerts.channels import apprise_url, email, slack, webhook


@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        (["93.184.215.14"], True),
        (["2606:2800:21f::1"], True),
        (["127.0.0.1"], False),
        (["10.1.2.3"], False),
        (["169.254.169.254"], False),
        (["100.64.0.1"], False),
        (["::1"], False),
        (["fe80::1%eth0"], False),
        (["::ffff:10.0.0.1"], False),
        (["224.0.0.1"], False),
        (["93.184.215.14", "10.0.0.1"], False),
        ([], False),
    ],
)
def test_all_addresses_of_a_host_must_be_public(addresses: list[str], public: bool) -> None:
    assert reach.is_public("some.host", lambda _host: addresses) is public


def test_addresses_are_looked_up_and_no_name_has_none() -> None:
    assert reach.is_public("127.0.0.1") is False
    assert reach.is_public("") is False
    assert reach.looked_up("no such name.invalid") == []


def test_where_a_configuration_leads() -> None:
    found = [
        email.Config(to=("a@x.org",), host="mail.x.org"),
        slack.Config(url="https://hooks.slack.com/s"),
        webhook.Config(url="https://u:p@hooks.x.org:8443/s"),
        webhook.Config(url="http://[::1]:9/"),
        apprise_url.Config(url="json://127.0.0.1/x"),
    ]
    assert [reach.host_of(one) for one in found] == ["mail.x.org", "hooks.slack.com", "hooks.x.org", "::1", ""]
