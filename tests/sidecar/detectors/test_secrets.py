"""Secrets: a key alerts and is not CRITICAL, its span is the key, words that only look like one stay."""

from sidecar.detectors.secrets import SecretDetector
from sidecar.types import Span, Surface, View

KEY = "gh" + "p_" + "q7Zr82xVmK03LpTd9sWbYcHfNg4EuAj5Qo1t"


def view(text: str) -> View:
    return View("as_sent", text, range(len(text)), Surface.USER)


def test_the_span_is_the_secret() -> None:
    detector = SecretDetector("secrets")
    text = f"é my token is {KEY}, keep it"
    (found,) = detector.detect(view(text))
    assert (found.rule_id, found.span) == ("secrets.github_token", Span(text.index(KEY), text.index(KEY) + len(KEY)))


def test_what_does_not_look_random_is_no_secret() -> None:
    detector = SecretDetector("secrets")
    assert detector.detect(view("gh" + "p_" + "a" * 36)) == ()
    assert detector.detect(view("gh" + "p_" + "example" + KEY[11:])) == ()


def test_lone_surrogates_do_no_harm() -> None:
    assert len(SecretDetector("secrets").detect(view(f"\ud800 {KEY}"))) == 1


def found(text: str) -> list[tuple[str, str]]:
    spans = [(one.rule_id, one.span) for one in SecretDetector("secrets").detect(view(text))]
    return [(rule, text[span.start : span.end]) for rule, span in spans]


def test_only_the_password_of_a_url_is_the_secret() -> None:
    assert found("postgres://app:Gv7mop92@db/shop") == [("secrets.connection_string", "Gv7mop92")]
    assert found("https://app:Gv7mop92@git.corp/x") == [("secrets.basic_auth_url", "Gv7mop92")]
    assert found("jdbc:sqlserver://db;user=sa;password=Gv7mop92;") == [("secrets.connection_string", "Gv7mop92")]


def test_one_place_is_found_once_by_the_most_telling_rule() -> None:
    assert found(f"GITHUB_TOKEN={KEY}") == [("secrets.github_token", KEY)]
    assert found(f"curl -H 'Authorization: Bearer {KEY}'") == [("secrets.github_token", KEY)]


def test_a_token_behind_an_escape_is_found() -> None:
    assert found(f"line\\n{KEY}") == [("secrets.github_token", KEY)]
    assert found(f"?t%3D{KEY}") == [("secrets.github_token", KEY)]


def test_secrets_are_found_across_windows() -> None:
    """A text is read in windows; what begins in one may end in the next."""
    for offset in range(2020, 2330, 7):
        text = "x " * (offset // 2) + KEY + " y" * 1500
        assert found(text) == [("secrets.github_token", KEY)]


def test_a_long_private_key_is_one_secret() -> None:
    body = "\n".join("MIIEow" + KEY[4:] + "Zz9" for _ in range(80))
    text = f"key:\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n"
    ((rule, secret),) = found(text)
    assert rule == "secrets.private_key"
    assert secret == text[5:-1]


def test_what_repeats_a_head_is_read_in_linear_time() -> None:
    assert found("sk-" * 20_000) == []
