"""E-mail, against a real SMTP server: plain, STARTTLS, TLS, log-in, refusals, and text that must not reach a header."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from analytics.alerts import http
from analytics.alerts.channels import email
from analytics.types.alerts import Delivery
from tests.analytics.alerts import receivers
from tests.analytics.alerts.receivers import Mailbox
from tests.analytics.alerts.sample import ALERT, hostile, notice

RIM = http.Rim(lambda *_: Delivery("failed"), lambda: 0.0)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receivers.smtp() as one:
        yield one


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def sending(mailbox: Mailbox, **fields: Any) -> http.Send:
    values = {"to": ("ops@example.com",), "sender": "douane@example.com", "host": "127.0.0.1", "encryption": "none"}
    return email.sender(email.Config(**values | {"port": mailbox.port} | fields), RIM)


def test_ok(mailbox: Mailbox) -> None:
    assert sending(mailbox, to=("ops@example.com", "sec@example.com"))(notice()) == Delivery("ok", "250")
    (message,) = mailbox.messages
    assert mailbox.recipients == [["ops@example.com", "sec@example.com"]]
    assert message["subject"] == "[Douane] CRITICAL: prompt injection by alice was denied"
    assert (message["from"], message["to"]) == ("douane@example.com", "ops@example.com, sec@example.com")
    assert message["message-id"] == "<019a9713a200700080000000000d0001@example.com>"
    assert message["references"] == f"<{ALERT}@example.com>"
    assert (message["auto-submitted"], message["importance"]) == ("auto-generated", "high")
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert "Threats: prompt_injection.ignore_instructions +10" in plain.get_content()
    assert "Decision: https://douane.example/dashboard/decisions/" in plain.get_content()
    assert '<a href="https://douane.example/dashboard/decisions/' in html.get_content()
    assert "An exchange scored 17.5" in html.get_content()


@pytest.mark.parametrize(
    ("answer", "delivery"),
    [
        ("451 try again", Delivery("retry", "SMTP 451")),
        ("554 no such thing", Delivery("failed", "SMTP 554")),
    ],
)
def test_retry_and_failed(mailbox: Mailbox, answer: str, delivery: Delivery) -> None:
    mailbox.answer = answer
    assert sending(mailbox)(notice()) == delivery


@pytest.mark.parametrize(
    ("refuse", "delivery"),
    [
        ({"a@x.org": "550 nobody"}, Delivery("failed", "SMTP 550 for 1 recipients")),
        ({"a@x.org": "450 grey"}, Delivery("retry", "SMTP 450 for 1 recipients")),
        ({"a@x.org": "550 nobody", "b@x.org": "450 grey"}, Delivery("retry", "SMTP 450 for 2 recipients")),
    ],
)
def test_refused_recipients(mailbox: Mailbox, refuse: dict[str, str], delivery: Delivery) -> None:
    mailbox.refuse = refuse
    assert sending(mailbox, to=("a@x.org", "b@x.org"))(notice()) == delivery


def test_nobody_there_is_tried_again(mailbox: Mailbox) -> None:
    assert sending(mailbox, port=1)(notice()) == Delivery("retry", "ConnectionRefusedError")


def test_starttls_with_a_log_in(serving: ssl.SSLContext, ca_file: str) -> None:
    with receivers.smtp(starttls=serving, login=("robot", "open sesame")) as mailbox:
        send = sending(mailbox, encryption="starttls", user="robot", password="open sesame", ca_file=ca_file)
        assert send(notice()) == Delivery("ok", "250")
        wrong = sending(mailbox, encryption="starttls", user="robot", password="wrong", ca_file=ca_file)
        assert wrong(notice()) == Delivery("failed", "SMTP 535")
        assert (mailbox.encrypted, set(mailbox.users)) == ([True], {"robot"})


def test_tls_from_the_first_byte(serving: ssl.SSLContext, ca_file: str) -> None:
    with receivers.smtp(first=serving) as mailbox:
        assert sending(mailbox, encryption="tls", ca_file=ca_file)(notice()) == Delivery("ok", "250")
        assert sending(mailbox, encryption="tls")(notice()) == Delivery("retry", "SSLCertVerificationError")


def test_a_server_without_starttls_gets_nothing(mailbox: Mailbox) -> None:
    found = sending(mailbox, encryption="starttls")(notice())
    assert found == Delivery("failed", "the server cannot do what is asked: SMTPNotSupportedError")
    assert mailbox.messages == []


def test_text_of_an_attacker_reaches_no_header_and_no_markup(mailbox: Mailbox) -> None:
    assert sending(mailbox)(hostile()) == Delivery("ok", "250")
    (message,) = mailbox.messages
    assert message["bcc"] is None
    assert mailbox.recipients == [["ops@example.com"]]
    html = message.get_body(("html",))
    assert html is not None
    text = html.get_content()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("https://evil.example") == text.count("&lt;https://evil.example|click&gt;") + text.count(
        "[x](https://evil.example)"
    )


@pytest.mark.parametrize(
    "address", ["no address", "a@b@c", "a@x.org\r\nBcc: b@x.org", "a, b@x.org", "é@x.org", "@x.org", "a@"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        email.Config(to=(address,))
    with pytest.raises(ValidationError):
        email.Config(to=("a@x.org",), sender=address)


def test_a_password_needs_encryption() -> None:
    with pytest.raises(ValidationError) as refused:
        email.Config(to=("a@x.org",), host="mail.x.org", encryption="none", password="open sesame")
    assert "open sesame" not in str(refused.value.errors(include_input=False))
