"""A receiver of webhooks on loopback: checks every signature, and fails, hangs or goes away when a test wants it to."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A delivery that came, and whether it was signed with the secret."""

    path: str
    headers: dict
    body: dict
    is_signed: bool
    answered: int

    @property
    def sequence(self):
        return self.body["sequence"]


class WebhookReceiver:
    """A receiver; a context manager that listens on a port of 127.0.0.1 while it is entered.

    Args:
        secrets: any of which a signature may be made with; empty: nothing is checked.
        port: where; 0 for any that is free.
        tls: certificate that it shows.
    """

    def __init__(self, secrets=(), *, port=0, tls: ssl.SSLContext | None = None):
        self.secrets = list(secrets)
        self.received: list[Received] = []
        self.answer = lambda body: 200
        self.reply_headers: dict[str, str] = {}
        self.reply_body = b"ok"
        self.is_hanging = threading.Event()
        self.n_hanging = 0
        self._released = threading.Event()
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._make_handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hooks"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def hang(self):
        """Take requests from now on and answer none of them."""
        self.is_hanging.set()

    def wait_for(self, condition, *, seconds=20):
        """Wait until `condition(self)` holds, looked at after every delivery; fail where it does not in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout=seconds):
                raise AssertionError(f"waited {seconds} s, got {[each.sequence for each in self.received]}")

    def sequences(self):
        """Return the numbers of the events that were taken, in the order in which they came."""
        return [each.sequence for each in self.received if 200 <= each.answered < 300]

    def _is_signed(self, header, raw):
        parts = [part.partition("=") for part in header.split(",")]
        instant = next((value for name, _, value in parts if name == "t"), "")
        given = [value for name, _, value in parts if name == "v1"]
        for secret in self.secrets:
            expected = hmac.new(secret.encode(), f"{instant}.".encode() + raw, hashlib.sha256).hexdigest()
            if any(hmac.compare_digest(expected, each) for each in given):
                return True
        return not self.secrets

    def _make_handler(receiver):  # noqa: N805  (the handler has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are written apart: the second would wait for the client to acknowledge the first.
            disable_nagle_algorithm = True

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                if receiver.is_hanging.is_set():
                    with receiver._changed:
                        receiver.n_hanging += 1
                        receiver._changed.notify_all()
                    receiver._released.wait()
                    self.close_connection = True
                    return
                body = json.loads(raw)
                status = receiver.answer(body)
                self.send_response(status)
                for name, value in receiver.reply_headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(receiver.reply_body)))
                self.end_headers()
                self.wfile.write(receiver.reply_body)
                received = Received(
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                    is_signed=receiver._is_signed(self.headers["restock-signature"] or "", raw),
                    answered=status,
                )
                with receiver._changed:
                    receiver.received.append(received)
                    receiver._changed.notify_all()

            def log_message(self, *_):
                pass

        return Handler
