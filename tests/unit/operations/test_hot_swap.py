import threading
from pathlib import Path

import pytest

from restock.errors import DataError, NotReadyError
from restock.operations.hot_swap import HotSwap, Watcher


class Source:
    """A source whose wanted value, faults and clock a test sets."""

    def __init__(self):
        self.wanted = None
        self.faults = {}
        self.now = 0.0
        self.loads = []

    def find(self):
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted

    def load(self, identity):
        self.loads.append(identity)
        if identity in self.faults:
            raise self.faults[identity]
        return f"value {identity}"


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def swap(source):
    return HotSwap(
        "model",
        missing="nothing is promoted",
        find=source.find,
        load=source.load,
        root=Path("/srv/shop"),
        clock=lambda: source.now,
    )


def test_current_before_anything_was_found_says_why(source, swap):
    swap.check()
    with pytest.raises(NotReadyError, match="nothing is promoted"):
        swap.current()


def test_check_new_value_swaps_it_in_once(source, swap):
    source.wanted = 1
    assert swap.check()
    assert not swap.check()
    assert swap.current() == "value 1"
    assert source.loads == [1]


def test_check_failing_value_stays_out_and_the_old_one_stays_in(source, swap):
    source.wanted = 1
    swap.check()
    source.wanted, source.faults = 2, {2: DataError("file x is broken")}
    assert not swap.check()
    assert swap.current() == "value 1"
    assert swap.refusal.identity == 2
    assert swap.problem == "file x is broken"


def test_check_unexpected_error_stays_out_without_its_words(source, swap):
    source.wanted, source.faults = 1, {1: RuntimeError("secret path")}
    swap.check()
    with pytest.raises(NotReadyError, match="RuntimeError while loading; see the log"):
        swap.current()


def test_check_refused_value_is_tried_again_only_after_a_while(source, swap):
    source.wanted, source.faults = 1, {1: DataError("broken")}
    swap.check()
    source.now = 59.0
    swap.check()
    assert source.loads == [1]
    source.now, source.faults = 61.0, {}
    assert swap.check()
    assert swap.refusal is None


def test_check_rollback_clears_the_refusal_without_loading_again(source, swap):
    source.wanted = 1
    swap.check()
    source.wanted, source.faults = 2, {2: DataError("broken")}
    swap.check()
    source.wanted = 1
    assert not swap.check()
    assert swap.problem is None
    assert source.loads == [1, 2]


def test_check_failing_value_publishes_no_absolute_path(source, swap):
    source.wanted, source.faults = 1, {1: DataError("/srv/shop/models/x/golden.json is broken")}
    swap.check()
    assert swap.problem == "models/x/golden.json is broken"


def test_check_nothing_wanted_any_more_forgets_the_refusal(source, swap):
    source.wanted, source.faults = 1, {1: DataError("broken")}
    swap.check()
    source.wanted = None
    swap.check()
    assert swap.problem == "nothing is promoted"


@pytest.mark.parametrize("gone", [None, DataError("current.json is not valid JSON"), PermissionError("denied")])
def test_check_source_gone_keeps_the_value_and_reports_it(source, swap, gone):
    source.wanted = 1
    swap.check()
    source.wanted = gone
    assert not swap.check()
    assert swap.current() == "value 1"
    assert swap.problem


def test_check_calls_back_after_swap_and_refusal(source):
    heard = []
    swap = HotSwap(
        "model",
        missing="none",
        find=source.find,
        load=source.load,
        root=Path("/srv/shop"),
        on_loaded=lambda loaded: heard.append(loaded.identity),
        on_refused=lambda refusal: heard.append(refusal.reason),
    )
    source.wanted = 1
    swap.check()
    source.wanted, source.faults = 2, {2: DataError("broken")}
    swap.check()
    assert heard == [1, "broken"]


def test_watcher_goes_on_after_a_failure():
    calls, called_again = [], threading.Event()

    def fail_once():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        called_again.set()

    watcher = Watcher(fail_once, interval_seconds=0.001)
    watcher.start()
    assert called_again.wait(timeout=10)
    watcher.stop()


def test_watcher_calls_until_stopped():
    called = threading.Event()
    watcher = Watcher(called.set, interval_seconds=0.001)
    watcher.start()
    assert called.wait(timeout=10)
    watcher.stop()
    called.clear()
    assert not called.wait(timeout=0.05)
