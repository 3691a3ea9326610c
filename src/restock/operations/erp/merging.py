"""Two sides that both may have changed a record: what each changed since they agreed, and whose change stands; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Content = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Merge:
    """What comes of two sides.

    Attributes:
        changes: value by field to be taken over from them.
        agreed: our side's value by field as it stands agreed; where it is not what we have, ours is still to go out.
        lost: value by field that gives way to the other side's.
        is_ours_kept: whether in a conflict ours stands.
    """

    changes: dict[str, Any]
    agreed: dict[str, Any]
    lost: dict[str, Any]
    is_ours_kept: bool


def find_conflicts(theirs: Content, ours: Content, *, last_theirs: Content, last_ours: Content) -> set[str]:
    """Return the fields that both have changed since they agreed, to different values."""
    return {
        name
        for name, value in _changed(theirs, last_theirs).items()
        if name in ours and ours[name] != value and (name not in last_ours or ours[name] != last_ours[name])
    }


def merge(
    theirs: Content,
    ours: Content,
    *,
    last_theirs: Content,
    last_ours: Content,
    their_time: datetime,
    our_time: datetime | None,
) -> Merge:
    """Return what comes of two sides: each keeps its own changes, and where both changed a field the later one stands.

    Args:
        theirs: value by field there now.
        ours: value by field here now; empty where there is nothing yet.
        last_theirs: there when both agreed; empty where they never have.
        last_ours: here when both agreed.
        their_time: when it was changed there.
        our_time: when it was changed here; None: before.
    """
    changes = _changed(theirs, last_theirs)
    conflicts = find_conflicts(theirs, ours, last_theirs=last_theirs, last_ours=last_ours)
    is_ours_kept = bool(conflicts) and our_time is not None and our_time > their_time
    if is_ours_kept:
        lost = {name: changes[name] for name in conflicts}
        # What we agreed on last is not what we have: so ours goes out.
        agreed = {name: last_ours.get(name, theirs[name]) for name in conflicts}
        changes = {name: value for name, value in changes.items() if name not in conflicts}
    else:
        lost = {name: ours[name] for name in conflicts}
        agreed = {}
    untouched = {name: last_ours.get(name, value) for name, value in ours.items() if name not in changes}
    return Merge(changes=changes, agreed={**untouched, **agreed}, lost=lost, is_ours_kept=is_ours_kept)


def _changed(now: Content, before: Content) -> dict[str, Any]:
    return {name: value for name, value in now.items() if name not in before or before[name] != value}
