"""A bare BentoML endpoint that returns what it is sent: the yardstick for the forecast service's own overhead."""

from __future__ import annotations

from typing import Any

import bentoml


@bentoml.service(name="BareService", workers=1, logging={"access": {"enabled": False}})
class BareService:
    """Returns what it is sent."""

    @bentoml.api(route="/echo")  # type: ignore[untyped-decorator]
    def echo(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return `payload`."""
        return payload
