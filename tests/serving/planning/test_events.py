"""Server-sent events: from a real uvicorn on loopback, and from the service as it is run."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn

from restock.adapters.database.engine import write_transaction
from restock.adapters.database.journal import append_event
from restock.adapters.outbox import OutboxEvent
from restock.operations.background_work import BackgroundWork, Job
from restock.operations.relay import Relay
from restock.settings import Settings
from serving.asgi import Gateway
from serving.planning.events import EventBroker, EventLimits, Interest
from serving.planning.frame import build_frame
from tests.serving.planning.conftest import Tokens
from tests.serving.planning.running import running_planning

SECONDS = 20


def now():
    return datetime.now(UTC)


@contextmanager
def serving(engine, workspace, *, limits=None, pause_seconds=0.05):
    """Serve the API by uvicorn, with a relay and a broker; yield the address and the broker."""
    broker = EventBroker(engine, limits=limits)
    relay = Relay(engine, [broker], now=now)
    work = BackgroundWork([Job(name="relay", run=relay.step, pause_seconds=pause_seconds)], now=now)
    frame = build_frame(engine, Settings(workspace=workspace), now=now, verifier=Tokens(), broker=broker)

    async def nothing(scope, receive, send):
        raise AssertionError("not for BentoML")

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Gateway(nothing, find_frame=lambda: frame), lifespan="off", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    work.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", broker
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        work.stop()


class Listener:
    """A client of a stream that reads messages as they come."""

    def __init__(self, response):
        self._lines = response.iter_lines()

    def message(self):
        """Return the next message as a dict of its fields; comments are under ''."""
        fields = {}
        for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        raise AssertionError("the stream ended")

    def event(self):
        """Return the next event, past the signs of life."""
        while True:
            message = self.message()
            if "data" in message:
                return message


@contextmanager
def listening(address, *, role="operator", last=None, **query):
    headers = {"authorization": f"Bearer {role}"} | ({} if last is None else {"last-event-id": str(last)})
    with httpx.stream("GET", f"{address}/api/v1/events", params=query, headers=headers, timeout=SECONDS) as response:
        assert response.status_code == 200, response.read()
        listener = Listener(response)
        # The first message tells where the stream begins.
        assert "id" in listener.message()
        yield listener


def write(engine, n=1, *, topic="stock.movements", **payload):
    for _ in range(n):
        with write_transaction(engine) as connection:
            append_event(connection, topic=topic, payload=payload, now=now())


def until(condition):
    """Wait until a condition holds; the server's own threads bring it about."""
    deadline = time.monotonic() + SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        pause.wait(0.01)


def test_event_appears_within_a_second(engine, tmp_path):
    with serving(engine, tmp_path, pause_seconds=0.2) as (address, _), listening(address) as listener:
        begun = time.monotonic()
        write(engine, sku="A")
        message = listener.event()
        assert time.monotonic() - begun < 1
        assert message["event"] == "stock.movements"
        assert json.loads(message["data"])["payload"] == {"sku": "A"}
        assert json.loads(message["data"])["sequence"] == int(message["id"]) == 1


def test_client_that_comes_back_misses_nothing(engine, tmp_path):
    limits = EventLimits(kept_events=5)
    with serving(engine, tmp_path, limits=limits) as (address, broker):
        with listening(address) as listener:
            write(engine, 3)
            seen = [int(listener.event()["id"]) for _ in range(3)]
        # Many more than are kept in memory.
        write(engine, 1_200)
        until(lambda: broker.latest() == 1_203)
        with listening(address, last=seen[-1]) as listener:
            write(engine, 5)
            seen += [int(listener.event()["id"]) for _ in range(1_205)]
    assert seen == list(range(1, 1_209))


def test_client_that_breaks_off_again_and_again_misses_nothing(engine, tmp_path):
    seen = []
    with serving(engine, tmp_path) as (address, _):
        writer = threading.Thread(target=write, args=(engine, 60))
        last = 0
        writer.start()
        while len(seen) < 60:
            with listening(address, last=last) as listener:
                seen += [int(listener.event()["id"]) for _ in range(min(7, 60 - len(seen)))]
            last = seen[-1]
        writer.join()
    assert seen == list(range(1, 61))


def test_filters_let_through_what_concerns_them_and_marks_go_on(engine, tmp_path):
    limits = EventLimits(heartbeat_seconds=0.1)
    with (
        serving(engine, tmp_path, limits=limits) as (address, _),
        listening(address, topics="stock.movements", sku="B", location="S") as listener,
    ):
        write(engine, lines=[{"sku": "B", "location": "T"}, {"sku": "A", "location": "S"}])
        write(engine, topic="stock.alerts", sku="B", location="S")
        write(engine, lines=[{"sku": "A", "location": "S"}, {"sku": "B", "location": "S"}])
        assert listener.event()["id"] == "3"
        write(engine, topic="stock.alerts")
        # A sign of life takes the client past what it does not want.
        while listener.message()["id"] != "4":
            pass


def test_client_that_does_not_read_is_let_go_and_holds_up_no_other(engine, tmp_path):
    limits = EventLimits(slow_seconds=0.5, kept_events=50)
    with serving(engine, tmp_path, limits=limits) as (address, broker):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as stuck, listening(address) as listener:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = "GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer operator\r\n\r\n"
            stuck.sendall(request.encode())
            until(lambda: broker.n_clients == 2)
            n_events = 0
            while broker.n_clients == 2:
                assert n_events < 2_000
                write(engine, text="x" * 50_000)
                n_events += 1
                assert int(listener.event()["id"]) == n_events
            write(engine)
            assert int(listener.event()["id"]) == n_events + 1


def test_stream_ends_after_its_time_and_clients_are_counted(engine, tmp_path):
    limits = EventLimits(longest_seconds=0.3, most_per_caller=1)
    with serving(engine, tmp_path, limits=limits) as (address, broker):
        headers = {"authorization": "Bearer operator"}
        with listening(address) as listener:
            refused = httpx.get(f"{address}/api/v1/events", headers=headers)
            assert refused.status_code == 503
            assert "1 of them of 'the-operator'" in refused.json()["detail"]
            with pytest.raises(AssertionError, match="the stream ended"):
                listener.event()
        until(lambda: broker.n_clients == 0)


def test_client_that_goes_away_is_not_counted_any_more(engine, tmp_path):
    with serving(engine, tmp_path) as (address, broker):
        with listening(address):
            assert broker.n_clients == 1
        until(lambda: broker.n_clients == 0)


@pytest.mark.parametrize(("query", "headers"), [({"topics": "Nope"}, {}), ({}, {"last-event-id": "x"})])
def test_listening_to_what_is_not_is_refused(client, query, headers):
    reply = client.get("/api/v1/events", params=query, headers={"authorization": "Bearer admin"} | headers)
    assert reply.status_code == 422


@pytest.mark.parametrize(
    ("interest", "payload", "expected"),
    [
        (Interest(topics=("*",)), {}, True),
        (Interest(topics=("b",)), {}, False),
        (Interest(topics=("a",), sku="A"), {"sku": "A"}, True),
        (Interest(topics=("a",), sku="A"), {}, False),
        (Interest(topics=("a",), sku="A"), {"lines": [{"sku": "B"}, {"sku": "A"}]}, True),
        (Interest(topics=("a",), sku="A", location="S"), {"lines": [{"sku": "A", "location": "T"}]}, False),
    ],
)
def test_interest_includes_what_one_line_concerns(interest, payload, expected):
    event = OutboxEvent(sequence=1, event="e", topic="a", payload=payload, created_at=now())
    assert interest.includes(event) is expected


def book(service, key, quantity="1"):
    body = {"kind": "receipt", "location": "STORE-1", "lines": [{"sku": "SCREW", "quantity": quantity}]}
    with service.client() as client:
        reply = client.post("/movements", json=body, headers={"idempotency-key": key})
    assert reply.status_code == 201, reply.text
    return reply.json()["movement"]


@pytest.mark.timeout(200)
def test_service_with_several_workers_sends_every_client_every_event_soon(tmp_path):
    with running_planning(tmp_path, workers=2) as service:
        clients = [service.client() for _ in range(4)]
        streams = [client.stream("GET", "/events", params={"sku": "SCREW"}) for client in clients]
        listeners = [Listener(stream.__enter__()) for stream in streams]
        for listener in listeners:
            assert "id" in listener.message()
        delays = []
        for n in range(5):
            movement = book(service, f"event-key-{n}")
            begun = time.monotonic()
            for listener in listeners:
                assert json.loads(listener.event()["data"])["payload"]["movement"] == movement
            delays.append(time.monotonic() - begun)
        assert sorted(delays)[2] < 1
        report = httpx.get(f"{service.address}/readyz").json()
        assert set(report["background"].values()) == {"ok"}
        # Left open: the service must be able to stop all the same.
    for stream, client in zip(streams, clients, strict=True):
        stream.__exit__(None, None, None)
        client.close()
