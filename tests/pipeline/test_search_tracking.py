"""The run of a search: each trial is logged once, and what is there already is asked for once."""

from __future__ import annotations

from restock.adapters.studies import Trial
from restock.pipeline import search_tracking
from restock.pipeline.search_tracking import SearchTracking
from restock.settings import Settings


def trial(number):
    return Trial(number=number, values={"depth": number}, losses=(1.0,), loss=1.0, seconds=0.1)


def begin(settings):
    return SearchTracking.begin(settings, experiment="demand_forecasting", name="tune x", identity="one", params={})


def test_log_each_trial_asks_the_store_once_for_what_it_has(tmp_path, monkeypatch):
    asked, logged = [], []
    find_logged, log_trials = search_tracking.find_logged, search_tracking.log_trials

    def count_asked(run):
        asked.append(run)
        return find_logged(run)

    def count_logged(run, trials):
        logged.extend(each.number for each in trials)
        log_trials(run, trials)

    monkeypatch.setattr(search_tracking, "find_logged", count_asked)
    monkeypatch.setattr(search_tracking, "log_trials", count_logged)
    settings = Settings(workspace=tmp_path)
    tracking = begin(settings)
    for number in range(4):
        tracking.log([trial(number)])
    tracking.log([trial(number) for number in range(4)])
    assert len(asked) == 1
    again = begin(settings)
    again.log([trial(number) for number in range(5)])
    assert logged == [0, 1, 2, 3, 4]
