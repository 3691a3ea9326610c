from __future__ import annotations

import functools
import http.server
import logging
import threading
from datetime import UTC, datetime

import pytest

from restock.adapters.sources.formats import build_request
from restock.adapters.sources.remote import _without_secrets, fetch_remote, is_remote, shown_url
from restock.adapters.workspace import project_root
from restock.errors import ConfigurationError, DataError
from restock.operations.ingest import examine_source
from restock.params import read_params

TEXT = "sku,location,date,units_sold\n" + "".join(f"A,L,2024-05-{day:02d},1\n" for day in range(1, 31))


def fetch(url, tmp_path, *, max_bytes=1_000_000):
    folder = tmp_path / "fetched"
    folder.mkdir(exist_ok=True)
    return fetch_remote(url, folder=folder, max_bytes=max_bytes)


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "sales.csv").write_text(TEXT, encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_is_remote_tells_urls_from_paths():
    assert is_remote("s3://bucket/sales.csv")
    assert not is_remote("folder/sales.csv")


def test_shown_url_leaves_out_user_password_and_query():
    assert shown_url("ftp://me:pw@host/a.csv?token=t") == "ftp://host/a.csv"


def test_fetch_remote_http_is_fetched_under_its_name(web, tmp_path):
    path = fetch(f"{web}/sales.csv?signature=hidden", tmp_path)
    assert path.name == "sales.csv"
    assert path.read_text(encoding="utf-8") == TEXT


def test_fetch_remote_file_url_is_fetched(tmp_path):
    (tmp_path / "sales.csv").write_text(TEXT, encoding="utf-8")
    assert fetch(f"file://{tmp_path}/sales.csv", tmp_path).read_text(encoding="utf-8") == TEXT


def test_fetch_remote_missing_file_is_refused_without_the_query(web, tmp_path):
    with pytest.raises(DataError, match=r"none.csv is not there") as caught:
        fetch(f"{web}/none.csv?signature=hidden", tmp_path)
    assert "hidden" not in str(caught.value)


def test_fetch_remote_file_beyond_the_limit_is_refused(web, tmp_path):
    with pytest.raises(DataError, match=r"larger than 100 bytes.*RESTOCK_MAX_UNPACKED_BYTES"):
        fetch(f"{web}/sales.csv", tmp_path, max_bytes=100)


def test_fetch_remote_unknown_protocol_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere://host/sales.csv can't be fetched"):
        fetch("nowhere://host/sales.csv", tmp_path)


def test_fetch_remote_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="names no file"):
        fetch("s3://bucket/", tmp_path)


@pytest.mark.real
def test_fetch_remote_s3_is_ingested_and_nothing_secret_is_logged(tmp_path, monkeypatch, caplog):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-of-the-test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="till")
        client.put_object(Bucket="till", Key="exports/sales.csv", Body=TEXT.encode())
        with caplog.at_level(logging.INFO):
            path = fetch("s3://till/exports/sales.csv", tmp_path)
        with pytest.raises(DataError, match=r"s3://till/exports/none.csv is not there"):
            fetch("s3://till/exports/none.csv", tmp_path)
    finally:
        server.stop()
    assert "hidden-secret" not in caplog.text
    now = datetime(2024, 6, 1, tzinfo=UTC)
    examined = examine_source(build_request([path]), read_params(project_root() / "params.yaml"), now=now)
    assert (examined.n_rows, examined.reasons) == (30, ())


@pytest.mark.parametrize("url", ["zip://a.csv::http://me:s3cr3t@host/a.zip", "gopher://host/a.csv"])
def test_fetch_remote_what_is_no_plain_address_is_refused_without_its_secrets(tmp_path, url):
    with pytest.raises(ConfigurationError, match="not an address of a file, expected s3://") as caught:
        fetch_remote(url, folder=tmp_path, max_bytes=1000)
    assert "s3cr3t" not in str(caught.value)


def test_without_secrets_shows_no_signature_however_a_store_writes_the_address():
    words = "403, message='Forbidden', url='https://host/a.csv?X-Amz-Credential=AKIA/x&X-Amz-Signature=s3cr3t'"
    assert _without_secrets(ValueError(words)) == "403, message='Forbidden', url='https://host/a.csv'"
