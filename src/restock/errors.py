"""The errors a user can meet, each with what is wrong, the value, what was expected and how to mend it."""

from __future__ import annotations

# What a command exits with where the same may work a little later (sysexits.h: EX_TEMPFAIL).
TRY_AGAIN = 75


class RestockError(Exception):
    """Base of every error a user can meet.

    Args:
        message: what is wrong, with the value, what was expected and how to mend it.

    Attributes:
        exit_code: what the command exits with.
        http_status: what a service answers with.
        title: the short name used in problem details.
    """

    exit_code: int = 1
    http_status: int = 500
    title: str = "restock could not do this"

    def members(self) -> dict[str, object]:
        """Return what a service adds to its problem details beside the message, ready for JSON."""
        return {}


class ConfigurationError(RestockError):
    """A param or a setting is missing, misspelt or out of bounds."""

    exit_code = 2
    title = "The configuration is not valid"


class DataError(RestockError):
    """Input can't be read as the table it is meant to be."""

    exit_code = 2
    http_status = 422
    title = "The data can't be used"


class BatchRefusedError(DataError):
    """A whole batch broke a critical expectation; the last good data stay in place."""

    exit_code = 3
    title = "The batch was refused"


class NotFoundError(RestockError):
    """A sku, location, batch, version or file that was asked for is not there."""

    http_status = 404
    title = "Not found"


class ConflictError(RestockError):
    """What is asked for does not fit the state that something has by now."""

    exit_code = 2
    http_status = 409
    title = "It is in another state"


class VersionConflictError(RestockError):
    """What is to be changed has changed since it was read."""

    exit_code = 2
    http_status = 412
    title = "It has changed since it was read"


class InsufficientHistoryError(DataError):
    """There are too few periods of history to do what was asked."""

    title = "Too little history"


class HorizonError(DataError):
    """The horizon asked for is longer than the model was trained for."""

    title = "The horizon is too long"


class GateRefusedError(RestockError):
    """A candidate did not pass the promotion gate; what is served stays."""

    exit_code = 4
    http_status = 409
    title = "The promotion gate refused the candidate"


class TamperedVersionError(RestockError):
    """A file of a model version differs from its recorded checksum, is missing or was added."""

    exit_code = 5
    http_status = 503
    title = "A model version's files are not what was promoted"


class GoldenReplayError(RestockError):
    """A loaded model does not reproduce the golden outputs it was promoted with."""

    exit_code = 5
    http_status = 503
    title = "The model does not reproduce its golden outputs"


class NotReadyError(RestockError):
    """A service has nothing it can serve yet."""

    exit_code = TRY_AGAIN
    http_status = 503
    title = "Not ready"


class AuthenticationError(RestockError):
    """No token came with the request, or one that is not known."""

    http_status = 401
    title = "A valid token is needed"


class PermissionDeniedError(RestockError):
    """The token is known but its role may not do this."""

    http_status = 403
    title = "The token's role may not do this"


class InfeasiblePlanError(DataError):
    """Constraints of a plan can't all be kept at once."""

    title = "The constraints can't all be kept"
