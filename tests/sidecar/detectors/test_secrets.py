"""Secrets: a key alerts and is not CRITICAL, its span is the key, words that only look like one stay."""

import string

from sidecar.detectors.secrets import RULES, SecretDetector
from sidecar.types import Span, Surface, View

KEY = "gh" + "p_" + (string.ascii_letters[::-1] + string.digits)[:36]


def view(text: str) -> View:
    return View("as_sent", text, range(len(text)), Surface.USER)


def test_the_span_is_the_secret() -> None:
    detector = SecretDetector("secrets")
    text = f"é my token is {KEY}, keep it"
    (found,) = detector.detect(view(text))
    assert (found.rule_id, found.span) == ("secrets.github_token", Span(text.index(KEY), text.index(KEY) + len(KEY)))


def test_every_secret_alerts_and_none_is_critical_alone() -> None:
    assert all(5 <= shape.weight < 15 for shape in RULES)


def test_what_does_not_look_random_is_no_secret() -> None:
    detector = SecretDetector("secrets")
    assert detector.detect(view("gh" + "p_" + "a" * 36)) == ()
    assert detector.detect(view("gh" + "p_" + "example" + KEY[11:])) == ()


def test_lone_surrogates_do_no_harm() -> None:
    assert len(SecretDetector("secrets").detect(view(f"\ud800 {KEY}"))) == 1
