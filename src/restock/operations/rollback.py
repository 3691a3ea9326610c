"""Rollback: promotion's last steps, backwards; the version that is served again was promoted once and is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from restock.adapters.registry import (
    Action,
    Change,
    ModelType,
    change_lock,
    read_current,
    set_current,
    tidy,
    verify_version,
)
from restock.adapters.tracking import tracking_place
from restock.errors import ConfigurationError, NotFoundError
from restock.operations.mirror import try_mirror
from restock.operations.replenishment.promote_policy import check_policy
from restock.operations.served_model import load_served_model
from restock.settings import Settings

logger = logging.getLogger(__name__)

STEPS = ("tidy", "check", "serve", "mirror")


@dataclass(frozen=True, kw_only=True)
class RollbackResult:
    """What is served again.

    Attributes:
        version: its number.
        previous: the version served until now.
        warnings: what did not work and stands in nobody's way.
    """

    version: int
    previous: int
    warnings: tuple[str, ...]


def roll_back(
    settings: Settings,
    model_type: ModelType,
    *,
    reason: str,
    rolled_back_by: str,
    now: datetime,
    to: int | None = None,
    after_step: Callable[[str], None] | None = None,
) -> RollbackResult:
    """Serve the previous version again, or the one named, once it is found to be what was promoted.

    Args:
        settings: the workspace and the tracking address.
        model_type: which type.
        reason: why, for the record.
        rolled_back_by: who.
        now: the present, UTC.
        to: which version; None for the one served before.
        after_step: called with the name of each step of `STEPS` once it is done.

    Raises:
        NotFoundError: nothing is served, nothing was served before, or the version does not exist.
        ConfigurationError: the version is served already, was never served, or the reason is empty.
        TamperedVersionError: a file of the version is not what was promoted.
        GoldenReplayError: the version does not reproduce its golden outputs.
    """
    if not reason.strip() or not rolled_back_by.strip():
        raise ConfigurationError(f"reason and name must say something, got {reason!r} and {rolled_back_by!r}.")
    step_done = after_step or (lambda _name: None)
    models_dir = settings.models_dir
    with change_lock(models_dir, model_type):
        tidy(models_dir, model_type)
        step_done("tidy")
        served, target = _choose_target(settings, model_type, to=to)
        if model_type is ModelType.DEMAND_FORECASTING:
            load_served_model(models_dir, model_type, target)
        else:
            folder = verify_version(models_dir, model_type, target)
            if model_type is ModelType.OPTIMIZATION:
                check_policy(folder)
        step_done("check")
        change = Change(
            served=target,
            previous=served,
            changed_at_utc=now,
            changed_by=rolled_back_by,
            reason=reason,
            action=Action.ROLLBACK,
        )
        set_current(models_dir, model_type, change)
        step_done("serve")
        warning = try_mirror(models_dir, model_type, place=tracking_place(settings))
        step_done("mirror")
    return RollbackResult(version=target, previous=served, warnings=(warning,) if warning else ())


def _choose_target(settings: Settings, model_type: ModelType, *, to: int | None) -> tuple[int, int]:
    """Return which version is served and which is to be."""
    current = read_current(settings.models_dir, model_type)
    if current is None:
        raise NotFoundError(f"nothing of type {model_type} is served, so there is nothing to roll back.")
    target = current.previous if to is None else to
    if target is None:
        raise NotFoundError(
            f"version {current.served} of {model_type} is the first that was served, there is none before it."
        )
    if target == current.served:
        raise ConfigurationError(f"version {target} of {model_type} is served already.")
    if target not in {change.served for change in current.history}:
        # A version that no gate let through to service is no safe place to go back to.
        known = ", ".join(map(str, sorted({change.served for change in current.history})))
        raise ConfigurationError(f"version {target} of {model_type} was never served; those that were: {known}.")
    return current.served, target
