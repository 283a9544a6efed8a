"""Why a store of the home cannot be used, in the log: once for each store and cause, not with each request.

Whoever asks is told only that something is not at hand; whoever runs the service needs the file and the reason. Does
not belong here: what whoever asks is told (``problems``), whether the service is ready (``health``).
"""

from __future__ import annotations

import logging
import threading

from omgov_assets.access_control.link_keys import LinkKeyError
from omgov_assets.access_control.tokens import TokenError

_logger = logging.getLogger("omgov.service")


class Unusable:
    """The stores that cannot be used at present; may be shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, set[str]] = {}

    def tell(self, store: str, cause: object) -> None:
        """Log that a store cannot be used, and why, unless that was logged since it last could be.

        Args:
            store: which one, such as ``shares``.
            cause: the error, whose text names files and no content.
        """
        with self._lock:
            told = self._told.setdefault(store, set())
            if str(cause) in told:
                return
            told.add(str(cause))
        _logger.error("%s cannot be used", store, extra={"store": store, "reason": str(cause)})

    def usable(self, store: str) -> None:
        """The store can be used: what keeps it from being used next time is logged again."""
        with self._lock:
            was_told = self._told.pop(store, None)
        if was_told:
            _logger.info("%s can be used again", store, extra={"store": store})


# One for the process, as its log is.
UNUSABLE = Unusable()


def tell_cause(error: BaseException) -> None:
    """Log that tokens or link keys cannot be used, where an error was caused by that."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TokenError):
            UNUSABLE.tell("tokens", cause)
        elif isinstance(cause, LinkKeyError):
            UNUSABLE.tell("link keys", cause)
        cause = cause.__cause__
