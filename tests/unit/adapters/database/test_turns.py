from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from restock.adapters.database import engine as engine_module
from restock.adapters.database.engine import open_database, write_transaction
from restock.adapters.database.turns import DatabaseBusyError, Turns

N_THREADS = 50


def test_turns_come_in_order_of_arrival():
    turns, order, threads = Turns(), [], []

    def come(number):
        with turns.turn(patience_seconds=10):
            order.append(number)

    with turns.turn(patience_seconds=1):
        for number in range(10):
            thread = threading.Thread(target=come, args=(number,))
            thread.start()
            threads.append(thread)
            while len(turns._waiting) <= number:
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_turn_that_does_not_come_in_time_is_refused_and_the_next_one_comes():
    turns = Turns()
    with (
        turns.turn(patience_seconds=1),
        pytest.raises(DatabaseBusyError, match=r"within 0.01 seconds: another writer of this process holds it"),
        turns.turn(patience_seconds=0.01),
    ):
        pass
    with turns.turn(patience_seconds=0.01):
        pass


def test_write_transaction_fifty_threads_get_equal_shares(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with write_transaction(engine) as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER)"))
    written, total = [], N_THREADS * 20
    start = threading.Barrier(N_THREADS)

    def write(number):
        start.wait()
        while len(written) < total:
            with write_transaction(engine) as connection:
                connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
                written.append(number)

    with ThreadPoolExecutor(max_workers=N_THREADS) as pool:
        list(pool.map(write, range(N_THREADS)))
    shares = Counter(written[:total])
    assert len(shares) == N_THREADS
    # The first ones take some turns before the last ones have come.
    assert min(shares.values()) >= 10
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM numbers")).scalar_one() == len(written)
    engine.dispose()


def test_write_transaction_two_engines_on_one_file_share_their_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "_PATIENCE_SECONDS", 0.01)
    one, other = (open_database(f"sqlite:///{tmp_path / 'x.db'}") for _ in range(2))
    with (
        write_transaction(one),
        pytest.raises(DatabaseBusyError, match="no turn to write the database came"),
        write_transaction(other),
    ):
        pass
    one.dispose()
    other.dispose()
