"""Real servers on this machine that take notices: an HTTP one that answers as told, and an SMTP one."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


@dataclass
class Answer:
    """One answer of the HTTP receiver."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"


@dataclass
class Received:
    """One request that came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Http:
    """An HTTP receiver. It answers with the next of `answers`, with 200 when there is none left."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.received: list[Received] = []
        self.came = threading.Condition()
        self.url = ""

    def take(self, request: Received) -> Answer:
        with self.came:
            self.received.append(request)
            self.came.notify_all()
            return self.answers.pop(0) if self.answers else Answer(200)

    def wait(self, count: int, timeout_s: float = 10.0) -> list[Received]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.received) >= count, timeout_s), f"{len(self.received)} came"
            return list(self.received)


@contextmanager
def http() -> Iterator[Http]:
    """Run an HTTP receiver."""
    receiver = Http()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 2.0  # a connection that its client forgot is let go, so that the end can wait for every handler

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.take(Received(self.path, headers, body))
            self.send_response(answer.status)
            for name, value in ({"content-length": str(len(answer.body))} | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox:
    """What the SMTP server took. refuse: recipient -> the answer it gets; answer: what the message gets."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.encrypted: list[bool] = []
        self.users: list[str] = []
        self.refuse: dict[str, str] = {}
        self.answer = "250 OK"
        self.came = threading.Condition()
        self.port = 0

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        if not self.answer.startswith("250"):
            return self.answer
        with self.came:
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
            self.came.notify_all()
        return self.answer

    def wait(self, count: int, timeout_s: float = 10.0) -> list[EmailMessage]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.messages) >= count, timeout_s), f"{len(self.messages)} came"
            return list(self.messages)


class _Server(Controller):
    """aiosmtpd's controller, on a free port; with TLS from the first byte where `first` is given."""

    def __init__(self, mailbox: Mailbox, first: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(mailbox, hostname="127.0.0.1", port=0, ssl_context=first, **options)

    def _trigger_server(self) -> None:
        """Connect to it once, as the library does; the port is known only now."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp(
    starttls: ssl.SSLContext | None = None, first: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[Mailbox]:
    """Run an SMTP server: plain, with STARTTLS, or with TLS from the first byte; with a log-in where one is given."""
    mailbox = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        mailbox.users.append(given[0])
        return AuthResult(success=given == login, handled=False)

    options: dict[str, Any] = {"tls_context": starttls, "require_starttls": True} if starttls else {}
    if login:
        options |= {"authenticator": check, "auth_required": True, "auth_require_tls": starttls is not None}
    controller = _Server(mailbox, first, **options)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
