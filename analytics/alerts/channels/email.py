"""E-mail: a notice as one message, HTML and plain text, over SMTP.

In: a Notice. Out: ok; retry for a broken connection and 4yz answers; failed for 5yz answers (RFC 5321 4.2.1).
Text of records is escaped in the HTML, and no line break of it reaches a header. Message-ID comes from the delivery, so that a
message sent twice is shown once by most programs, and References from the alert, so that its messages form a thread.
Bounds: STEP_S for each step of the SMTP dialogue.
Never: a password over a connection that is not encrypted, unless the server is on this machine.
"""

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from analytics.alerts import words
from analytics.alerts.http import Rim, Send
from analytics.types.alerts import Delivery, Notice

STEP_S = 10.0
MAX_RECIPIENTS = 50
_COLOURS = {"info": "#2f6fab", "warning": "#c77700", "critical": "#b3261e"}
_RESOLVED = "#2e7d32"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
)  # RFC 5322 3.2.3 (atext); quoted names are not taken
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Config(BaseModel):
    """What an e-mail channel needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    to: tuple[str, ...] = Field(min_length=1, max_length=MAX_RECIPIENTS, description="Who is written to.")
    sender: str = Field(default="douane@localhost", description="The From address.")
    host: str = Field(default="localhost", min_length=1, description="The SMTP server.")
    port: int = Field(default=587, ge=1, le=65_535, description="Its port.")
    encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls (port 587), tls from the first byte (465), or none."
    )
    user: str = Field(default="", description="Log-in, empty without.")
    password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    ca_file: str = Field(default="", description="Certificates to trust beside the machine's; empty: the machine's.")

    @field_validator("to", "sender")
    @classmethod
    def _addresses(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for one in (value,) if isinstance(value, str) else value:
            if not _ADDRESS.fullmatch(one):
                raise ValueError("an address of the form name@host is needed")
        return value

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.password.get_secret_value() and self.encryption == "none" and self.host not in _LOOPBACK:
            raise ValueError("a password needs encryption: starttls or tls")
        return self


def sender(config: Config, rim: Rim) -> Send:  # noqa: ARG001 - every kind's sender is called alike
    """Return what sends one notice."""
    trust = ssl.create_default_context(cafile=config.ca_file or None)

    def send(notice: Notice) -> Delivery:
        try:
            return _sent(config, trust, message(notice, config))
        except smtplib.SMTPResponseException as error:
            return _answered(error.smtp_code)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused([code for code, _ in error.recipients.values()])
        except smtplib.SMTPNotSupportedError as error:
            return Delivery("failed", f"the server cannot do what is asked: {type(error).__name__}")
        except (smtplib.SMTPException, OSError) as error:
            return Delivery("retry", type(error).__name__)

    return send


def _sent(config: Config, trust: ssl.SSLContext, composed: EmailMessage) -> Delivery:
    with _connected(config, trust) as server:
        if config.encryption == "starttls":
            server.starttls(context=trust)
        if config.user:
            server.login(config.user, config.password.get_secret_value())
        refused = server.send_message(composed, config.sender, config.to)
    return _refused([code for code, _ in refused.values()]) if refused else Delivery("ok", "250")


def _connected(config: Config, trust: ssl.SSLContext) -> smtplib.SMTP:
    if config.encryption == "tls":
        return smtplib.SMTP_SSL(config.host, config.port, timeout=STEP_S, context=trust)
    return smtplib.SMTP(config.host, config.port, timeout=STEP_S)


def _answered(code: int) -> Delivery:
    """Return what one answer of the server means; -1 is a connection that broke."""
    return Delivery("failed" if 500 <= code < 600 else "retry", f"SMTP {code}")


def _refused(codes: list[int]) -> Delivery:
    """Return what refused recipients mean: asked again while one of them may be taken later; the others get it once more."""
    later = [code for code in codes if not 500 <= code < 600]
    return Delivery("retry" if later else "failed", f"SMTP {(later or codes)[0]} for {len(codes)} recipients")


def message(notice: Notice, config: Config) -> EmailMessage:
    """Return the message."""
    alert, domain = notice.alert, config.sender.rpartition("@")[2]
    composed = EmailMessage(policy=SMTP)
    composed["Subject"] = f"[Douane] {words.title(notice)}"
    composed["From"] = config.sender
    composed["To"] = ", ".join(config.to)
    composed["Message-ID"] = f"<{notice.delivery_id}@{domain}>"
    composed["References"] = f"<{alert.alert_id}@{domain}>"
    composed["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    if alert.level == "critical" and alert.state != "resolved":
        composed["Importance"] = "high"
    composed.set_content(_plain(notice))
    composed.add_alternative(_html(notice), subtype="html")
    return composed


def _links(notice: Notice) -> list[tuple[str, str]]:
    return [(label, url) for label, url in (("Decision", notice.decision_url), ("Alert", notice.alert_url)) if url]


def _plain(notice: Notice) -> str:
    lines = [f"{label}: {value}" for label, value in (*words.facts(notice), *_links(notice))]
    parts = [
        words.title(notice),
        words.text(notice),
        "\n".join(lines),
        f"-- \nSent by Douane. Alert {notice.alert.alert_id}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(notice: Notice) -> str:
    colour = _RESOLVED if notice.alert.state == "resolved" else _COLOURS[notice.alert.level]
    return _TEMPLATES.get_template("email.html").render(
        title=words.title(notice),
        text=words.text(notice),
        facts=words.facts(notice),
        links=_links(notice),
        colour=colour,
        alert_id=notice.alert.alert_id,
    )
