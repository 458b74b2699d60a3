"""The errors of the API: one class per DeepDetect code, carrying its HTTP status."""

from __future__ import annotations


class ApiError(Exception):
    """An error that a client sees; the one argument is the message.

    Errors travel through Ray, which pickles them, so there is one argument and no other state.
    """

    status: int = 500
    msg: str = "InternalError"
    dd_code: int = 500
    prefix: str = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    @property
    def dd_msg(self) -> str:
        """What goes to the client: the code's fixed text, then what happened."""
        return ": ".join(part for part in (self.prefix, self.message) if part)


class BadRequest(ApiError):
    """Malformed body or query."""

    status, msg, dd_code = 400, "BadRequest", 400


class Unauthorized(ApiError):
    """A call without the server's key."""

    status, msg, dd_code = 401, "Unauthorized", 401


class Forbidden(ApiError):
    """A path or method that this server does not open."""

    status, msg, dd_code = 403, "Forbidden", 403


class NotFound(ApiError):
    """No such route."""

    status, msg, dd_code = 404, "NotFound", 404


class TooLarge(ApiError):
    """A body past the limit."""

    status, msg, dd_code = 413, "PayloadTooLarge", 413


class Unavailable(ApiError):
    """The service is there but cannot answer now."""

    status, msg, dd_code = 503, "ServiceUnavailable", 503


class TimedOut(ApiError):
    """A call that took longer than the server allows."""

    status, msg, dd_code = 504, "GatewayTimeout", 504


class UnknownLibrary(ApiError):
    """1000: no such mllib, or its extra is not installed."""

    status, msg, dd_code, prefix = 404, "NotFound", 1000, "Unknown Library"


class ServiceNotFound(ApiError):
    """1002: no service of that name."""

    status, msg, dd_code, prefix = 404, "NotFound", 1002, "Service Not Found"


class JobNotFound(ApiError):
    """1003: no such job, or its final report was taken already."""

    status, msg, dd_code, prefix = 404, "NotFound", 1003, "Job Not Found"


class ConnectorNotFound(ApiError):
    """1004: unknown connector, or one that the mllib does not take."""

    status, msg, dd_code, prefix = 404, "NotFound", 1004, "Input Connector Not Found"


class BadInput(ApiError):
    """1005: the input connector refuses a parameter or the data."""

    status, msg, dd_code, prefix = 400, "BadRequest", 1005, "Service Input Error"


class BadParameter(ApiError):
    """1006: the mllib, the model or the output connector refuses a parameter."""

    status, msg, dd_code, prefix = 400, "BadRequest", 1006, "Service Bad Request Error"


class LibraryError(ApiError):
    """1007: a machine learning library failed."""

    status, msg, dd_code = 500, "InternalError", 1007


class Superseded(LibraryError):
    """An attempt at a training that another one has taken the place of: it may write nothing."""


class TrainPredictConflict(ApiError):
    """1008: the mllib cannot predict while it trains."""

    status, msg, dd_code, prefix = 409, "Conflict", 1008, "Train / Predict Conflict"


class NetworkError(ApiError):
    """1009: `output.network` could not be reached."""

    status, msg, dd_code, prefix = 404, "Not Found", 1009, "Output Connector Network Error"


class ServiceExists(ApiError):
    """1014: a service of that name is there already."""

    status, msg, dd_code, prefix = 409, "Conflict", 1014, "Service already exists"


class InternalError(ApiError):
    """500: a failure outside any library; our mistake."""
