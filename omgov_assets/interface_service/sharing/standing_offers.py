"""Whether a table is still offered to whom a link to one of its files was given, asked by each request for a file.

Readers of Parquet ask for a file in dozens of ranges, and to open the shares takes many times as long as to look into
them: so the file stays open between requests, for as long as it is the one that lies there. Does not belong here: what
else makes a link good (``access_control.signed_links``).
"""

from __future__ import annotations

import threading
from pathlib import Path

from omgov_assets.interface_service.sharing.shares import ShareError, ShareStore


class StandingOffers:
    """The offers of a home as they are now; may be shared by threads.

    Args:
        path: the file of shares.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._opened: tuple[tuple[int, int], ShareStore] | None = None

    def __enter__(self) -> StandingOffers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._close()

    def stands(self, offer: str, principal: str, dataset: str) -> bool:
        """Whether an offered table is in a share of the principal's, and is the dataset.

        Args:
            offer: identifier of the table; ``SharedTable.id``.
            principal: whom it was offered to.
            dataset: ``<folder>/<table>``.

        Raises:
            ShareError: what is shared cannot be read.
        """
        with self._lock:
            try:
                store = self._current()
                return store is not None and store.is_offered(offer, principal, dataset)
            except ShareError:
                # Whatever it was may pass: the next request opens the file anew.
                self._close()
                raise

    def _current(self) -> ShareStore | None:
        """The shares of the file that lies there now, which may have been put in the place of another; None of none."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._close()
            return None
        except OSError as error:
            raise ShareError(f"{self._path} cannot be used ({error}); until it can, nothing is shared") from error
        file = (status.st_dev, status.st_ino)
        if self._opened is None or self._opened[0] != file:
            self._close()
            self._opened = (file, ShareStore(self._path))
        return self._opened[1]

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None
