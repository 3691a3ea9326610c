"""The supervisor with real processes: small web servers that note when they start and stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from restock.adapters.processes import find_process, start_process, stop_process
from restock.adapters.supervisor import Service, Supervisor, read_states, record_file

SERVER = """
import http.server, os, pathlib, signal, subprocess, sys
name, port, diary = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
def note(what):
    with diary.open("a") as file: file.write(f"{what} {name}\\n")
def stop(*_):
    note("stopped")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
diary.with_name(f"{name}.child").write_text(str(child.pid))
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if diary.with_name(f"{name}.sick").exists() else 200)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", port), Health)
note("started")
server.serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server(name: str, folder: Path, *, stop_rank: int) -> Service:
    port = free_port()
    return Service(
        name=name,
        command=(sys.executable, "-c", SERVER, name, str(port), str(folder / "diary")),
        environment={},
        folder=folder,
        health_url=f"http://127.0.0.1:{port}/",
        ready_seconds=30,
        stop_rank=stop_rank,
    )


def wait_for(condition, *, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def supervised(tmp_path):
    """Return (folder, supervisor) with two services under way; stopped afterwards, whatever happened."""
    services = [server("first", tmp_path, stop_rank=1), server("second", tmp_path, stop_rank=0)]
    supervisor = Supervisor(services, logs=tmp_path)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        wait_for(lambda: states(tmp_path) == {"first": "healthy", "second": "healthy"})
        yield tmp_path, supervisor, thread
    finally:
        supervisor.stop()
        thread.join(timeout=60)


def states(folder):
    return {name: state["state"] for name, state in read_states(folder).items()}


def diary(folder):
    return (folder / "diary").read_text().splitlines()


def test_run_starts_in_order_and_stops_in_stop_order(supervised):
    folder, supervisor, thread = supervised
    supervisor.stop()
    thread.join(timeout=60)
    assert diary(folder) == ["started first", "started second", "stopped second", "stopped first"]
    assert states(folder) == {"first": "stopped", "second": "stopped"}
    assert not [path for path in folder.glob("*.child") if psutil.pid_exists(int(path.read_text()))]


def test_run_starts_again_what_was_killed_and_leaves_none_of_its_children(supervised):
    folder, _, _ = supervised
    killed = find_process(record_file(folder, "second"))
    child = int((folder / "second.child").read_text())
    os.kill(killed.pid, signal.SIGKILL)
    wait_for(lambda: diary(folder).count("started second") == 2)
    wait_for(lambda: states(folder)["second"] == "healthy")
    assert read_states(folder)["second"]["restarts"] == 1
    assert not psutil.pid_exists(child)
    assert find_process(record_file(folder, "first")) is not None


def test_run_notes_a_service_that_answers_but_is_not_well(supervised):
    folder, _, _ = supervised
    (folder / "first.sick").touch()
    wait_for(lambda: states(folder)["first"] == "unhealthy")
    (folder / "first.sick").unlink()
    wait_for(lambda: states(folder)["first"] == "healthy")


def test_run_stops_what_a_killed_supervisor_left(tmp_path):
    left = server("first", tmp_path, stop_rank=0)
    start_process(
        left.command, record=record_file(tmp_path, "first"), log=tmp_path / "log", environment={}, folder=tmp_path
    )
    wait_for((tmp_path / "diary").exists)
    supervisor = Supervisor([left], logs=tmp_path)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        wait_for(lambda: diary(tmp_path).count("started first") == 2)
        assert "stopped first" in diary(tmp_path)
    finally:
        supervisor.stop()
        thread.join(timeout=60)


def test_stop_process_finds_the_children_of_a_killed_process(tmp_path):
    service, record = server("first", tmp_path, stop_rank=0), tmp_path / "record.json"
    process = start_process(service.command, record=record, log=tmp_path / "log", environment={}, folder=tmp_path)
    wait_for((tmp_path / "diary").exists)
    child = int((tmp_path / "first.child").read_text())
    process.kill()
    assert stop_process(record)
    assert not psutil.pid_exists(child)
