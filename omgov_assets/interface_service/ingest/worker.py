"""Has what was pushed judged, behind the answer: one thread a process, one batch at a time in all of them.

It takes a reception through what the night takes a delivery through, so that both lead to the same lake, in whichever
order and at whichever time. Owns how often is tried again what could not be judged. Does not belong here: judging
(``data_management.collection``), what is remembered of a reception (``receptions``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from omgov_assets.admission.reception import remove_abandoned
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.locks import held_if_free
from omgov_assets.data_lake.masks import masked_error
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.interface_service.ingest.receptions import Accepted, Receptions, Target
from omgov_assets.model_management.contract_publication import publish_data_contracts
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.provenance import provenance_of

LOCK = "ingest.worker"

_logger = logging.getLogger("omgov.service")


@dataclass(frozen=True)
class Retries:
    """How long and how often it is tried.

    Attributes:
        looks_every_s: seconds between looks for what other processes took, or what is to be tried again.
        first_wait_s: seconds after the first failure; they double with each further one.
        longest_wait_s: but are no more than this.
        attempts: after so many a reception has failed; one that a killed process had begun with counts.
        begun_s: seconds after which it is due again where nobody said what became of it.
        cleans_every_s: seconds between removing what is needed no more.
    """

    looks_every_s: float = 1.0
    first_wait_s: float = 2.0
    longest_wait_s: float = 300.0
    attempts: int = 10
    begun_s: float = 900.0
    cleans_every_s: float = 3600.0

    def wait_after(self, attempts: int) -> timedelta:
        """How long to wait after so many attempts."""
        return timedelta(seconds=min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempts - 1)))


class NotLandedError(Exception):
    """The file of a reception is gone from the landing folder, and the ledger does not know it."""


class Worker:
    """Judges receptions in a thread of its own from ``start`` to ``stop``.

    Args:
        settings: where landing folder and lake are.
        lake: the lake.
        receptions: what is to be judged.
        governance: gives the control information in force; None while it cannot be read, so that nothing is judged.
        clock: the time (aware).
        retries: how long and how often it is tried.
    """

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        receptions: Receptions,
        governance: Callable[[], Governance | None],
        clock: Callable[[], datetime],
        retries: Retries | None = None,
    ) -> None:
        self._settings, self._lake, self._receptions = settings, lake, receptions
        self._governance, self._clock, self._retries = governance, clock, retries or Retries()
        self._wanted, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest-worker", daemon=True)
        self._published: tuple[date, Governance] | None = None
        self._cleaned_at = -float("inf")

    def start(self) -> None:
        """Begin, with what is still to be judged from before."""
        self._thread.start()

    def wake(self) -> None:
        """Look now: something was accepted."""
        self._wanted.set()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End after what is being judged; what is not done after the time goes on at the next start."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        resumed = False
        while not self._stopping.is_set():
            try:
                if not resumed:
                    self._receptions.resume(self._clock())
                    resumed = True
                self._clean()
                busy = self.judge_next()
            except Exception as error:
                # A full disk, or the file of receptions kept busy by another: nothing is lost, and it is tried again.
                _logger.error("pushed batches wait", extra={"reason": _shown(error)})
                busy = False
            if not busy:
                self._wanted.wait(self._retries.looks_every_s)
                self._wanted.clear()

    def judge_next(self) -> bool:
        """Judge the receptions of one target; False where none is due, or another process is at it."""
        governance = self._governance()
        if governance is None:
            return False
        with held_if_free(self._settings.home, LOCK) as is_held:
            if not is_held:
                return False
            due = self._receptions.begin(self._clock(), timedelta(seconds=self._retries.begun_s))
            if not due:
                return False
            began = time.monotonic()
            try:
                entries = self._judge(governance, due[0].target)
            except Exception as error:
                # Whatever it was: it is logged, told to those who ask, and tried again.
                self._failed(due, error)
                return True
            for reception in due:
                self._note(reception, entries, time.monotonic() - began)
            return True

    def _judge(self, governance: Governance, target: Target) -> Sequence[Mapping[str, Any]]:
        """Ledger entries of a dataset's day, after the gate has taken all that has landed, as the night has it."""
        if self._published != (target.day, governance):
            # Under which contracts a day's deliveries are judged is published first.
            publish_data_contracts(self._lake, governance, target.day, provenance_of(governance.project))
            self._published = (target.day, governance)
        system = governance.systems[target.system]
        collected = collect_system(
            self._settings, self._lake, governance, system, target.day, [target.dataset], unseen_only=True
        )
        return collected[target.dataset]

    def _note(self, reception: Accepted, entries: Sequence[Mapping[str, Any]], seconds: float) -> None:
        entry = _entry_of(reception, entries)
        if entry is None:
            self._failed([reception], NotLandedError())
            return
        self._receptions.decide(reception.id, entry, self._clock())
        _logger.info(
            "batch judged",
            extra={
                "reception": reception.id,
                "dataset": reception.target.table,
                "day": reception.target.day.isoformat(),
                "decision": entry["decision"],
                "rows_in": entry["rows_in"],
                "seconds": round(seconds, 3),
            },
        )

    def _failed(self, receptions: Sequence[Accepted], error: Exception) -> None:
        reason = _shown(error)
        for reception in receptions:
            is_last = reception.attempts >= self._retries.attempts
            until = None if is_last else self._clock() + self._retries.wait_after(reception.attempts)
            self._receptions.postpone(reception.id, reason, until)
            _logger.error(
                "batch not judged",
                extra={
                    "reception": reception.id,
                    "dataset": reception.target.table,
                    "reason": reason,
                    "attempt": reception.attempts,
                    "given_up": is_last,
                },
            )

    def _clean(self) -> None:
        if time.monotonic() - self._cleaned_at >= self._retries.cleans_every_s:
            self._receptions.prune(self._clock())
            remove_abandoned(self._settings.landing)
            self._cleaned_at = time.monotonic()


def _entry_of(reception: Accepted, entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The ledger entry of a reception, by its own name, else by that under which the same bytes stand."""
    of_batch = [entry for entry in entries if entry["batch_id"] == reception.batch_id]
    own = [entry for entry in of_batch if entry["file_name"] == reception.file_name]
    return next(iter(own or of_batch), None)


def _shown(error: Exception) -> str:
    """What may be told of an error that data may have caused."""
    said = masked_error(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
