"""Campaigns: what is met, by whom, and when it is one."""

from analytics import config
from analytics.alerts.rules import campaign
from analytics.types import Change
from tests.analytics.alerts.rules.changes import change, row, threat

SETTINGS = config.load()
TEXT, RULE = ("default", "text:" + "9f" * 16), ("default", "rule:jailbreak.some_rule")


def test_attacks_are_met_by_named_users_with_a_score_that_matters() -> None:
    jailbreak = (threat("jailbreak"),)
    changes = [
        change(user="a", threats=jailbreak),
        change(user="b", threats=jailbreak),
        change(user="", threats=jailbreak),
        change(user="c", threats=(threat("pii_leak"), threat("suspicious_pattern"))),
        change(user="d", threats=(threat("jailbreak", match_digest=""),)),
    ]
    weak = Change(row(user="weak", threats=jailbreak, score=4.0, level="low"), "", 0.0)
    assert list(campaign.met([*changes, weak], SETTINGS)) == [
        (RULE, "a"),
        (TEXT, "a"),
        (RULE, "b"),
        (TEXT, "b"),
        (RULE, "d"),
    ]


def test_the_same_text_needs_fewer_users_than_the_same_rule() -> None:
    seen = campaign.met([change(user="a", threats=(threat("jailbreak"),))], SETTINGS)
    none = campaign.campaigns(seen, {TEXT: SETTINGS.alert_campaign_users - 1, RULE: 9}, SETTINGS)
    assert list(none) == []
    (found,) = campaign.campaigns(seen, {TEXT: 3, RULE: 9}, SETTINGS)
    assert (found.rule, found.level, found.key) == ("campaign", "critical", "campaign/text:" + "9f" * 16)
    assert found.title == "3 users sent the same jailbreak"
    assert found.facts == (("Users", "3"), ("Rule", "jailbreak.some_rule"), ("Last by", "a"))
    both = campaign.campaigns(seen, {TEXT: 3, RULE: 10}, SETTINGS)
    assert [one.key for one in both] == ["campaign/rule:jailbreak.some_rule", found.key]


def test_the_worst_exchange_is_the_example_and_gives_the_level() -> None:
    mild = Change(row(user="a", threats=(threat("jailbreak"),), score=8.0, level="medium"), "", 0.0)
    (found,) = campaign.campaigns(campaign.met([mild], SETTINGS), {TEXT: 3}, SETTINGS)
    assert (found.level, found.score) == ("warning", 8.0)
    seen = campaign.met([mild, change(user="b", threats=(threat("jailbreak"),))], SETTINGS)
    (found,) = campaign.campaigns(seen, {TEXT: 4}, SETTINGS)
    assert (found.level, found.score) == ("critical", 17.5)
