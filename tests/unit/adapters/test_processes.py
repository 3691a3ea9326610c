from __future__ import annotations

import http.server
import os
import sys
import threading

import psutil
import pytest

from restock.adapters.processes import claim_record, find_process, start_process, stop_process, wait_until_ready
from restock.adapters.storage import write_json
from restock.errors import NotReadyError, RestockError

WAIT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(60)
"""


@pytest.fixture
def started(tmp_path):
    record = tmp_path / "service.json"

    def start(code):
        return start_process(
            [sys.executable, "-c", code], record=record, log=tmp_path / "log", environment={}, folder=tmp_path
        )

    yield record, tmp_path / "log", start
    stop_process(record)


def test_stop_process_ends_it_and_its_children(started):
    record, _, start = started
    process = start(WAIT)
    while not process.children():
        assert process.is_running()
    child = process.children()[0]
    assert stop_process(record)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert find_process(record) is None
    assert not stop_process(record)


def test_start_process_twice_is_refused(started):
    _, _, start = started
    start(WAIT)
    with pytest.raises(RestockError, match="it runs already, as process"):
        start(WAIT)


def test_find_process_does_not_mistake_a_reused_id(tmp_path):
    record = tmp_path / "service.json"
    write_json(record, {"pid": psutil.Process().pid, "created": 1.0, "command": []})
    assert find_process(record) is None


def test_wait_until_ready_of_a_process_that_ends_shows_its_log(started):
    _, log, start = started
    process = start("print('no such model')")
    with pytest.raises(NotReadyError, match="no such model"):
        wait_until_ready("http://127.0.0.1:1/readyz", process=process, log=log, timeout_seconds=30)


def test_wait_until_ready_returns_once_the_address_answers(started):
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    _, log, start = started
    server = http.server.HTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        assert wait_until_ready(url, process=start(WAIT), log=log, timeout_seconds=30) < 30
    finally:
        server.shutdown()


def test_claim_record_a_second_time_is_refused_while_it_is_held(tmp_path):
    record = tmp_path / "supervisor.json"
    with claim_record(record):
        assert find_process(record).pid == os.getpid()
        with pytest.raises(RestockError, match="another process works on"), claim_record(record):
            pass
    with claim_record(record):
        pass
