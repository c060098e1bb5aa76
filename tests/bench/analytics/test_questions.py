from datetime import UTC, datetime

from tests.bench.analytics.questions import Question, questions

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


def given(name: str, where: str = "query", required: bool = False) -> dict[str, object]:
    return {"name": name, "in": where, "required": required}


def test_every_get_is_asked_with_every_window_it_takes() -> None:
    document = {
        "paths": {
            "/api/usage": {"get": {"parameters": [given("from"), given("to"), given("days")]}},
            "/api/advice": {"get": {"parameters": [given("days")]}},
            "/api/users/{user}": {"get": {"parameters": [given("user", "path", True)]}},
            "/api/diff": {"get": {"parameters": [given("from", "query", True), given("to", "query", True)]}},
            "/api/feedback": {"post": {}},
        }
    }
    asked = list(questions(document, {"user": "a/b", "from": "1", "to": "2"}, NOW))
    assert [(one.endpoint, one.window) for one in asked] == [
        *(("/api/usage", window) for window in ("1 hour", "1 day", "7 days", "30 days")),
        *(("/api/advice", window) for window in ("1 day", "7 days", "30 days")),
        ("/api/users/{user}", "–"),
        ("/api/diff", "–"),
    ]
    assert asked[0].url == "/api/usage?from=2026-11-18T11%3A00%3A00Z&to=2026-11-18T12%3A00%3A00Z"
    assert asked[5] == Question("/api/advice", "7 days", "/api/advice?days=7")
    assert (asked[7].url, asked[8].url) == ("/api/users/a%2Fb", "/api/diff?from=1&to=2")


def test_what_is_not_known_is_asked_all_the_same() -> None:
    document = {"paths": {"/api/x/{key}": {"get": {"parameters": [given("key", "path", True)]}}}}
    assert list(questions(document, {}, NOW)) == [Question("/api/x/{key}", "–", "/api/x/1")]
