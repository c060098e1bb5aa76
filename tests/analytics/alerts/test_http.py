"""Posting, against a real receiver: what each answer means, and what is never done."""

import socket
import threading
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from analytics.alerts import http
from analytics.types.alerts import Delivery
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Answer, Http

NOW = 1_795_000_000.0


@pytest.fixture
def receiver() -> Iterator[Http]:
    with receivers.http() as one:
        yield one


@pytest.fixture
def post() -> Iterator[http.Post]:
    with http.client() as shared:
        yield http.poster(shared, lambda: NOW)


@pytest.mark.parametrize(
    ("status", "headers", "delivery"),
    [
        (200, {}, Delivery("ok", "200")),
        (202, {}, Delivery("ok", "202")),
        (400, {}, Delivery("failed", "400")),
        (410, {}, Delivery("failed", "410")),
        (408, {}, Delivery("retry", "408")),
        (429, {"retry-after": "30"}, Delivery("retry", "429", 30.0)),
        (429, {"retry-after": "999999"}, Delivery("retry", "429", 3_600.0)),
        (503, {"retry-after": "Wed, 18 Nov 2026 11:07:40 GMT"}, Delivery("retry", "503", 60.0)),
        (503, {"retry-after": "Wed, 18 Nov 2020 11:07:40 GMT"}, Delivery("retry", "503", 0.0)),
        (500, {"retry-after": "soon"}, Delivery("retry", "500")),
    ],
)
def test_what_an_answer_means(
    receiver: Http, post: http.Post, status: int, headers: dict[str, str], delivery: Delivery
) -> None:
    receiver.answers = [Answer(status, headers)]
    assert post(receiver.url + "/hook", b'{"a": 1}', {"x-one": "1"}) == delivery
    (came,) = receiver.received
    assert (came.path, came.body, came.headers["x-one"]) == ("/hook", b'{"a": 1}', "1")
    assert came.headers["content-type"] == "application/json"


def test_a_redirect_is_not_followed(receiver: Http, post: http.Post) -> None:
    receiver.answers = [Answer(307, {"location": receiver.url + "/elsewhere"})]
    assert post(receiver.url + "/hook", b"{}", {}) == Delivery("failed", "307, a redirect, which is not followed")
    assert [one.path for one in receiver.received] == ["/hook"]


def test_a_long_answer_is_left_and_the_next_post_goes_through(receiver: Http, post: http.Post) -> None:
    receiver.answers = [Answer(200, body=b"x" * (8 << 20))]
    assert post(receiver.url, b"{}", {}) == Delivery("ok", "200")
    assert post(receiver.url, b"{}", {}) == Delivery("ok", "200")


def test_nobody_there_is_tried_again_and_says_nothing_of_the_url(post: http.Post) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/secret-path"
        assert post(url, b"{}", {}) == Delivery("retry", "ConnectError")


def test_a_connection_that_breaks_is_tried_again(post: http.Post) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Thread(target=lambda: server.accept()[0].close())
        closing.start()
        found = post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        closing.join()
    assert (found.result, found.after_s) == ("retry", None)


class Urls(BaseModel):
    web: http.WebUrl | None = None
    secret: http.SecretUrl | None = None


@pytest.mark.parametrize(
    ("field", "url", "good"),
    [
        ("web", "http://hooks.internal/x", True),
        ("web", "https://hooks.internal/x", True),
        ("web", "ftp://hooks.internal/x", False),
        ("web", "file:///etc/passwd", False),
        ("web", "hooks.internal", False),
        ("web", "http://[::1", False),
        ("secret", "https://hooks.slack.com/services/T/B/X", True),
        ("secret", "http://hooks.slack.com/services/T/B/X", False),
        ("secret", "http://127.0.0.1:9/x", True),
    ],
)
def test_urls_that_may_be_posted_to(field: str, url: str, good: bool) -> None:
    if good:
        assert url not in repr(Urls(**{field: url}))
        return
    with pytest.raises(ValidationError) as refused:
        Urls(**{field: url})
    assert url not in refused.value.errors(include_input=False)[0]["msg"]
