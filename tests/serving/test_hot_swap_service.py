"""Promotion and rollback while the real service answers requests."""

import threading
import time

import httpx

from tests.serving.running import SKUS, STORES, promote_version, running, serve_version, version_folder, write_history

ONE = {"sku": SKUS[0], "location": STORES[0], "horizon": 7}
_PATIENCE_SECONDS = 30


def wait_for(service, is_reached):
    """Return the readiness report once `is_reached` holds for it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        report = service.readiness()
        if is_reached(report):
            return report
    raise AssertionError(f"not reached in {_PATIENCE_SECONDS} s: {report}")


def serves(version):
    return lambda report: bool(report["model"]) and report["model"]["model_version"] == f"model_version_{version}"


def test_swaps_under_load_fail_no_request_and_show_both_versions(make_workspace):
    with running(make_workspace()) as service:
        is_over = threading.Event()
        seen, failures = [], []

        def ask():
            headers = {"authorization": f"Bearer {service.token}"}
            with httpx.Client(base_url=service.address, headers=headers, timeout=30) as client:
                while not is_over.is_set():
                    try:
                        reply = client.post("/forecast", json=ONE)
                    except httpx.HTTPError as error:
                        failures.append(repr(error))
                        continue
                    if reply.status_code == 200:
                        seen.append(reply.json()["model"]["version"])
                    else:
                        failures.append(reply.text)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for version in (2, 1, 2, 1):
                serve_version(service.workspace, version)
                wait_for(service, serves(version))
                n_seen = len(seen)
                while len(seen) < n_seen + 40 and not failures:
                    is_over.wait(0.01)
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        assert failures == []
        assert set(seen) == {"model_version_1", "model_version_2"}
        assert len(seen) >= 160


def test_tampered_version_stays_out_and_says_why_until_it_is_rolled_back(make_workspace):
    with running(make_workspace()) as service:
        promote_version(service.workspace)
        description = version_folder(service.workspace, 3) / "forecaster.json"
        description.chmod(0o644)
        description.write_text(description.read_text().replace('"horizon": 14', '"horizon": 15'))
        serve_version(service.workspace, 3)
        report = wait_for(service, lambda report: report["refused"] is not None)
        assert report["status"] == "ready"
        assert report["refused"]["model_version"] == "model_version_3"
        assert "forecaster.json" in report["refused"]["reason"]
        assert service.post("/forecast", ONE).json()["model"]["version"] == "model_version_1"
        metrics = httpx.get(
            f"{service.address}/metrics", headers={"authorization": f"Bearer {service.admin_token}"}
        ).text
        assert 'restock_swaps_total{outcome="refused",service="forecast",what="model"} 1.0' in metrics
        serve_version(service.workspace, 1)
        assert (
            wait_for(service, lambda report: report["refused"] is None)["model"]["model_version"] == "model_version_1"
        )


def test_newly_validated_data_are_used_without_a_restart(make_workspace):
    with running(make_workspace()) as service:
        before = service.post("/forecast", ONE).json()
        write_history(service.workspace, n_days=121)
        wait_for(service, lambda report: report["history"]["cutoff"] > before["cutoff"])
        after = service.post("/forecast", ONE).json()
        assert after["data_hash"] != before["data_hash"]
        assert after["periods"][0]["date"] == before["periods"][1]["date"]


def test_service_with_nothing_promoted_waits_and_is_ready_after_the_first_promotion(tmp_path):
    with running(tmp_path, workers=2) as service:
        reply = service.client.get("/readyz")
        assert reply.status_code == 503
        assert "restock promote" in reply.json()["problem"]
        refused = service.post("/forecast", ONE)
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        write_history(tmp_path)
        promote_version(tmp_path)
        serve_version(tmp_path, 1)
        wait_for(service, lambda report: serves(1)(report) and "cutoff" in report["history"])
