"""Small ERPs for tests: real HTTP on loopback, the protocols' own formats, and faults on order."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


class Fault(StrEnum):
    """What may happen to a request."""

    # Nothing is done.
    BROKEN = "500"
    BUSY = "429"
    UNAVAILABLE = "503"
    # Done, and then the connection is cut: nobody learns of it.
    LOST_REPLY = "lost reply"
    # Done, and the reply comes too late.
    LATE = "late"


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """A reply."""

    status: int
    content: Any
    headers: dict[str, str] = field(default_factory=dict)


class FakeErp:
    """What both servers share: a clock, the requests that came, and the faults that are due."""

    def __init__(self) -> None:
        self.url = ""
        self.clock = datetime(2024, 5, 1, 8, 0, tzinfo=UTC)
        self.asked: list[Asked] = []
        self.fault_of: Callable[[Asked], Fault | None] = lambda _: None
        self.lock = threading.Lock()
        self.released = threading.Event()

    def tick(self, **step: float) -> datetime:
        """Move the clock on, by a millisecond unless told otherwise, and return the time."""
        self.clock += timedelta(**step) if step else timedelta(milliseconds=1)
        return self.clock

    def fail_once(self, fault: Fault, *, method: str = "", path: str = "", containing: str = "") -> None:
        """Let the next request that fits meet a fault."""
        left = [fault]

        def due(asked: Asked) -> Fault | None:
            fits = method in ("", asked.method) and path in asked.path and containing in json.dumps(asked.body)
            return left.pop() if left and fits else None

        self.fault_of = due

    def count(self, *, method: str = "", path: str = "") -> int:
        """Return how many requests of a kind came."""
        return sum(1 for each in self.asked if method in ("", each.method) and path in each.path)

    def answer(self, asked: Asked) -> Answer:
        """Return the reply to a request."""
        raise NotImplementedError


@contextlib.contextmanager
def serve(erp: FakeErp) -> Iterator[None]:
    """Serve an ERP on a free port of loopback; its address is in `erp.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            asked = Asked(
                method=self.command,
                path=unquote(parts.path),
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=json.loads(body) if body else None,
            )
            with erp.lock:
                erp.asked.append(asked)
                fault = erp.fault_of(asked)
                if fault in (Fault.BROKEN, Fault.BUSY, Fault.UNAVAILABLE):
                    headers = {"Retry-After": "2"} if fault is Fault.BUSY else {}
                    answer = Answer(int(fault), {"exception": "out of order"}, headers)
                else:
                    answer = erp.answer(asked)
            if fault is Fault.LOST_REPLY:
                self.close_connection = True
                return
            if fault is Fault.LATE:
                erp.released.wait(10)
                self.close_connection = True
                return
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            content = answer.content
            text = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _handle  # noqa: N815  (http.server's names)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    erp.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        erp.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
