from __future__ import annotations

import logging

import pytest

from restock.adapters.erp.calling import Patience, checked_url, open_caller, shown_address
from restock.adapters.erp.interface import ErpFaultError, ErpReplyError, ErpUnavailableError
from restock.errors import ConfigurationError
from tests.erp_clients import connect
from tests.erp_servers import Answer, FakeErp, Fault, serve


class Echo(FakeErp):
    """Answers every request with what a test chose."""

    def __init__(self):
        super().__init__()
        self.reply = Answer(200, {"pi": 3.10})

    def answer(self, asked):
        return self.reply


@pytest.fixture
def echo():
    server = Echo()
    with serve(server):
        yield server


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.UNAVAILABLE, Fault.LOST_REPLY, Fault.LATE])
def test_call_meeting_one_fault_is_tried_again(echo, fault):
    echo.fail_once(fault)
    assert connect(echo.url).call("GET", "/").status == 200
    assert len(echo.asked) == 2


def test_call_number_with_decimals_is_exact(echo):
    assert str(connect(echo.url).call("GET", "/").content["pi"]) == "3.1"


def test_call_busy_erp_is_left_alone_as_long_as_it_asks(echo):
    echo.fail_once(Fault.BUSY)
    pauses = []
    connect(echo.url, pauses=pauses).call("GET", "/")
    assert pauses == [2.0]


def test_call_pauses_grow_and_stay_below_their_bound(echo):
    echo.fault_of = lambda _: Fault.UNAVAILABLE
    pauses = []
    patience = Patience(n_tries=9, first_pause_seconds=1, longest_pause_seconds=8)
    with pytest.raises(ErpUnavailableError, match=r"could not be asked in 9 tries; the last: status 503"):
        connect(echo.url, patience=patience, pauses=pauses).call("GET", "/")
    assert len(pauses) == 8
    assert all(pause <= min(2**at, 8) for at, pause in enumerate(pauses))


def test_call_erp_that_breaks_each_time_is_told_from_one_that_is_away(echo):
    echo.fault_of = lambda _: Fault.BROKEN
    with pytest.raises(ErpFaultError, match="status 500") as caught:
        connect(echo.url).call("GET", "/")
    assert caught.value.exit_code == 75


def test_call_nobody_there_says_so_and_may_be_tried_again():
    with pytest.raises(ErpUnavailableError, match=r"http://127.0.0.1:9 could not be asked in 3 tries") as caught:
        connect("http://127.0.0.1:9").call("GET", "/")
    assert caught.value.exit_code == 75


def test_call_redirect_is_not_followed(echo):
    echo.reply = Answer(302, {}, {"Location": "http://127.0.0.1:9/elsewhere"})
    with pytest.raises(ErpReplyError, match=r"leads elsewhere \(status 302\), which is not followed"):
        connect(echo.url).call("GET", "/")


def test_call_reply_beyond_the_bound_is_refused(echo):
    echo.reply = Answer(200, ["x" * 2000])
    with pytest.raises(ErpReplyError, match="sent more than 1,000 bytes in one reply"):
        connect(echo.url, patience=Patience(max_reply_bytes=1000)).call("GET", "/")


def test_call_reply_that_is_no_json_is_refused_without_secrets(echo):
    echo.reply = Answer(200, b"<html>welcome hunter2</html>")
    with pytest.raises(ErpReplyError, match=r"something that is no JSON: '<html>welcome \*\*\*"):
        connect(echo.url, secrets=("hunter2",)).call("GET", "/")


def test_call_error_that_repeats_a_secret_is_shown_and_logged_without_it(echo, caplog):
    echo.fault_of = lambda asked: Fault.BROKEN
    echo.reply = Answer(500, {"exception": "token hunter2 is out of order"})
    echo.fault_of = lambda _: None
    with caplog.at_level(logging.DEBUG), pytest.raises(ErpFaultError, match=r"token \*\*\* is out of order"):
        connect(echo.url, secrets=("hunter2",), headers={"Authorization": "token hunter2"}).call("GET", "/")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("ftp://erp.example.com", "is no address of an ERP"),
        ("erp.example.com", "is no address of an ERP"),
        ("https://me:pw@erp.example.com", "must not hold credentials"),
        ("https://erp.example.com/?token=pw", "must not hold credentials"),
        ("http://erp.example.com", "is not encrypted"),
        ("http://127.0.0.1.example.com", "is not encrypted"),
        ("https://erp.example.com:x", "address is none"),
    ],
)
def test_open_caller_address_that_is_not_safe_is_refused_without_its_secrets(url, fault):
    with pytest.raises(ConfigurationError, match=fault) as caught:
        open_caller(url, secrets=())
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_checked_url_on_this_machine_needs_no_encryption(url):
    assert checked_url(url + "/", is_http_allowed=False) == url


def test_checked_url_elsewhere_may_be_plain_where_that_is_allowed():
    assert checked_url("http://erp.lan", is_http_allowed=True) == "http://erp.lan"


def test_shown_address_holds_nothing_secret():
    assert shown_address("https://me:pw@host:1/a?t=x#y") == "https://host:1/a"
