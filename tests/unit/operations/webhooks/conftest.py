"""What the tests of webhooks share with those of the delivery."""

from tests.unit.operations.delivery.conftest import clock, engine  # noqa: F401
