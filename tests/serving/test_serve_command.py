"""`restock serve` as a person runs it: it starts, tells its addresses, and leaves nothing when it is stopped."""

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from restock.adapters.processes import wait_until_ready


@pytest.fixture
def served(make_workspace, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "restock", "serve", "--port", str(port), "--workers", "2"],
            env=os.environ | {"RESTOCK_WORKSPACE": str(make_workspace())},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", process=process, log=log, timeout_seconds=90)
        yield process, port, log
    finally:
        if process.is_running():
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_serve_stops_on_a_signal_and_leaves_no_process(served, stop):
    process, port, log = served
    family = process.children(recursive=True)
    assert len(family) >= 2
    process.send_signal(stop)
    _, alive = psutil.wait_procs([process, *family], timeout=30)
    assert alive == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert f"http://127.0.0.1:{port}/docs" in log.read_text()
