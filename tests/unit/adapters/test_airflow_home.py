import json
import stat

import pytest

from restock.adapters.airflow_home import prepare_airflow_home
from restock.adapters.local_services import (
    AIRFLOW_SERVICES,
    ServiceName,
    build_services,
    choose_services,
    require_free_ports,
)
from restock.errors import ConfigurationError
from restock.settings import Settings


def test_prepare_airflow_home_makes_its_secrets_once_and_for_the_owner_only(tmp_path):
    settings = Settings(workspace=tmp_path)
    first = prepare_airflow_home(settings, dags=tmp_path / "dags")
    again = prepare_airflow_home(settings, dags=tmp_path / "dags")
    assert first.new_password
    assert again.new_password is None
    assert again.environment == first.environment
    for name in ("passwords.json", "secrets.json"):
        assert stat.S_IMODE((first.folder / name).stat().st_mode) == 0o600
    assert json.loads((first.folder / "passwords.json").read_text()) == {"admin": first.new_password}


def test_prepare_airflow_home_listens_on_loopback_and_sends_nothing_out(tmp_path):
    environment = prepare_airflow_home(Settings(workspace=tmp_path), dags=tmp_path).environment
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


def test_build_services_stop_the_scheduler_first_and_the_api_server_last(tmp_path):
    settings = Settings(workspace=tmp_path)
    names = choose_services(settings, [])
    airflow = prepare_airflow_home(settings, dags=tmp_path)
    services = build_services(settings, names, airflow=airflow)
    assert [service.name for service in services] == list(ServiceName)
    order = [service.name for service in sorted(services, key=lambda service: service.stop_rank)]
    assert order[0] == ServiceName.AIRFLOW_SCHEDULER
    assert order[-1] == ServiceName.AIRFLOW_API
    assert all(service.environment["MLFLOW_DISABLE_TELEMETRY"] == "true" for service in services)


def test_build_services_gives_airflow_s_secrets_to_nobody_else(tmp_path):
    settings = Settings(workspace=tmp_path)
    airflow = prepare_airflow_home(settings, dags=tmp_path)
    for service in build_services(settings, tuple(ServiceName), airflow=airflow):
        has_secret = "AIRFLOW__API_AUTH__JWT_SECRET" in service.environment
        assert has_secret == (service.name in AIRFLOW_SERVICES)


def test_choose_services_one_of_airflow_s_brings_the_others(tmp_path):
    chosen = choose_services(Settings(workspace=tmp_path), [ServiceName.AIRFLOW_SCHEDULER])
    assert chosen == AIRFLOW_SERVICES


def test_choose_services_with_an_mlflow_server_elsewhere_starts_none(tmp_path):
    settings = Settings(workspace=tmp_path, mlflow_tracking_uri="http://mlflow.example:5000")
    assert ServiceName.MLFLOW not in choose_services(settings, [])


def test_require_free_ports_names_the_setting_of_a_taken_port(tmp_path, taken_port):
    settings = Settings(workspace=tmp_path, airflow_port=taken_port)
    with pytest.raises(ConfigurationError, match=f"port {taken_port} for airflow-api-server.*RESTOCK_AIRFLOW_PORT"):
        require_free_ports(settings, [ServiceName.AIRFLOW_API])


@pytest.fixture
def taken_port():
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]
