"""Calls to receivers: which addresses are refused, that the connection is pinned, and that all of it is bounded."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest

from restock.adapters.webhook_calls import CallError, WebhookAddressError, WebhookCaller, check_url
from tests.webhook_receiver import WebhookReceiver

NAME = "hooks.example.test"


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://hooks.example.com/", "url must be https"),
        ("ftp://hooks.example.com/", "url must be https"),
        ("https:///x", "url must be https"),
        ("https://user:pw@hooks.example.com/", "must hold no user, password or fragment"),
        ("https://hooks.example.com/#x", "must hold no user, password or fragment"),
        ("https://localhost/", "localhost is this machine"),
        ("https://127.8.8.8/", "is this machine"),
        ("https://[::1]/", "is this machine"),
        ("https://[::ffff:127.0.0.1]/", "is this machine"),
        ("https://10.0.0.1/", "is not a public address"),
        ("https://169.254.169.254/latest/meta-data", "is not a public address"),
        ("https://[fe80::1]/", "is not a public address"),
        ("https://[64:ff9b::a9fe:a9fe]/", "is not a public address"),
        ("https://[2002:0a00:0001::1]/", "is not a public address"),
        ("https://0.0.0.0/", "is not a public address"),
        ("https://224.0.0.1/", "is not a public address"),
        ("https://" + "a" * 2_000, "has 2008 characters"),
        ("https://hooks.example.com:99999/", "has port 99999, expected 1 to 65535"),
    ],
)
def test_check_url_that_must_not_be_called_is_refused(url, match):
    with pytest.raises(WebhookAddressError, match=match):
        check_url(url, is_local_allowed=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost/", "https://[::1]/"])
def test_check_url_on_this_machine_is_taken_where_it_is_allowed(url):
    assert check_url(url, is_local_allowed=True) == url


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "http://hooks.example.com/"])
def test_check_url_allowing_this_machine_allows_nothing_else(url):
    with pytest.raises(WebhookAddressError, match=r"public|https"):
        check_url(url, is_local_allowed=True)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "10.1.2.3"], ["::1"], ["::ffff:192.168.0.1"], ["fd00::1"]]
)
def test_open_name_that_leads_inside_is_refused(addresses):
    caller = WebhookCaller(resolve=lambda host, port: addresses)
    with pytest.raises(WebhookAddressError, match=f"{NAME} leads to"), caller.open(f"https://{NAME}/"):
        pass


def test_open_name_that_is_unknown_is_a_failed_call():
    def resolve(host, port):
        raise socket.gaierror("unknown")

    with (
        pytest.raises(CallError, match="could not be looked up: unknown"),
        WebhookCaller(resolve=resolve).open(f"https://{NAME}/"),
    ):
        pass


def test_post_goes_to_the_address_that_was_checked_under_its_name(tls_receiver):
    receiver, trust = tls_receiver
    asked = []

    def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    caller = WebhookCaller(is_local_allowed=True, resolve=resolve, trust=trust)
    with caller.open(f"https://{NAME}:{receiver.port}/hooks?x=1") as channel:
        for _ in range(2):
            assert channel.post(b'{"sequence": 1}', {}).status == 200
    assert asked == [NAME]
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert receiver.received[0].path == "/hooks?x=1"


def test_post_certificate_of_another_name_is_refused(tls_receiver):
    receiver, trust = tls_receiver
    caller = WebhookCaller(is_local_allowed=True, resolve=lambda host, port: ["127.0.0.1"], trust=trust)
    with (
        caller.open(f"https://other.example.test:{receiver.port}/") as channel,
        pytest.raises(CallError, match="certificate"),
    ):
        channel.post(b'{"sequence": 1}', {})
    assert receiver.received == []


def test_post_answer_that_never_ends_is_read_to_the_limit_only():
    caller = WebhookCaller(is_local_allowed=True, max_reply_bytes=1_000)
    with WebhookReceiver() as receiver:
        receiver.reply_body = b"x" * 5_000_000
        with caller.open(receiver.url) as channel:
            assert channel.post(b'{"sequence": 1}', {}).status == 200


def test_post_answer_that_drips_is_given_up_in_time():
    """A timeout of single reads would never end it: each byte comes soon enough."""
    server = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def drip():
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            while not is_over.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    caller = WebhookCaller(is_local_allowed=True, timeout_seconds=0.4)
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    with (
        caller.open(url) as channel,
        pytest.raises(CallError, match=r"127.0.0.1 did not answer within 0.4 s|could not"),
    ):
        channel.post(b"{}", {})
    is_over.set()
    thread.join(5)
    server.close()


def test_post_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with WebhookReceiver() as receiver, WebhookCaller(is_local_allowed=True).open(receiver.url) as channel:
        assert channel.post(b'{"sequence": 1}', {}).status == 200


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory):
    """Return a certificate for NAME, signed by itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
def tls_receiver(tls_files):
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(tls_files / "cert.pem", tls_files / "key.pem")
    trust = ssl.create_default_context(cafile=tls_files / "cert.pem")
    with WebhookReceiver(tls=shown) as receiver:
        yield receiver, trust
