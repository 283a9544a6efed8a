"""Taking a body in: from the socket, through its content coding, into the landing folder, and onto record.

Owns two rules: the event loop never waits for a disk, and a client that is too slow, too large or gone leaves nothing
behind. Does not belong here: who may push (``routes``), what a landed file is (``admission.reception``).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from omgov_assets.admission.reception import Reception
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.ingest.content_coding import ContentCodingError, unpacking
from omgov_assets.interface_service.ingest.receptions import (
    Accepted,
    KeyReusedError,
    Receptions,
    Target,
    reception_id,
)
from omgov_assets.interface_service.limits import Places
from omgov_assets.interface_service.problems import Problem, no_room
from omgov_assets.model_management.business_systems import DeliveryFormat, Limits

T = TypeVar("T")

# Large enough that handing a block to a thread costs nothing beside writing it.
_BLOCK_BYTES = 1 << 20
# What a client must bring in the time that it is given: who brings less keeps a place from others.
_LEAST_BYTES = 16 << 10


@dataclass(frozen=True)
class Push:
    """What a client wants to push, known before a byte of it is read.

    Attributes:
        principal: name of who pushes.
        target: where to.
        delivery_format: how the bytes are to be read.
        coding: content coding of the body.
        limits: the dataset's.
        key: what the client calls the push by.
    """

    principal: str
    target: Target
    delivery_format: DeliveryFormat
    coding: str | None
    limits: Limits
    key: str | None


@dataclass(frozen=True)
class Answer:
    """What became of a push: a reception, and whether it was one before, under the same key."""

    accepted: Accepted
    is_replayed: bool


class Intake:
    """Takes bodies in, a number of them at a time; belongs to one event loop.

    Args:
        settings: where the landing folder is.
        receptions: what was acknowledged.
        clock: the time (aware).
        places: of bodies that come in at a time.
        stalled_s: seconds in which a client must bring at least 16 KiB, or the end of its body.
    """

    def __init__(
        self,
        settings: Settings,
        receptions: Receptions,
        clock: Callable[[], datetime],
        places: Places,
        stalled_s: float,
    ) -> None:
        self._settings, self._receptions, self._clock = settings, receptions, clock
        self._stalled_s, self._places = stalled_s, places
        # Disks and hashes gain nothing from more.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="ingest")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def take(self, push: Push, chunks: AsyncIterator[bytes]) -> Answer:
        """Take a body in; when this returns, it is on disk and on record.

        Raises:
            Problem: it was not taken; says why, and nothing of it is left.
            ClientDisconnect: the client is gone.
        """
        try:
            with self._places.taken(push.principal):
                return await self._take(push, chunks)
        except ContentCodingError as error:
            raise Problem(400, "broken_coding", f"{_sentence(str(error))} Nothing was taken; send it again.") from error
        except RefusedBatchError as refusal:
            raise Problem(413, refusal.code, _sentence(refusal.sentence), {"Connection": "close"}) from refusal
        except KeyReusedError as error:
            raise key_reused() from error
        except TimeoutError as error:
            raise Problem(
                408, "too_slow", "The body came too slowly; nothing was taken.", {"Connection": "close"}
            ) from error
        except (sqlite3.OperationalError, OSError) as error:
            if is_no_room(error):
                raise no_room("the body", "taken") from error
            if isinstance(error, OSError):
                raise
            raise Problem(
                503, "busy", "What was received could not be put on record; send it again.", {"Retry-After": "2"}
            ) from error

    async def _take(self, push: Push, chunks: AsyncIterator[bytes]) -> Answer:
        target = push.target
        reception = await self._in_thread(
            partial(
                Reception,
                self._settings.landing,
                target.system,
                target.dataset,
                target.day,
                push.delivery_format,
                push.limits,
            )
        )
        try:
            unpack = unpacking(push.coding)
            packed_bytes = 0

            def write(block: bytes) -> None:
                nonlocal packed_bytes
                packed_bytes += len(block)
                for part in unpack.feed(block):
                    reception.write(part, packed_bytes)

            await self._each_block(chunks, write)

            def finish() -> Answer:
                unpack.close()
                return self._put_on_record(push, reception)

            return await self._in_thread(finish)
        finally:
            # Also where the client is gone and the task is cancelled.
            await asyncio.shield(self._in_thread(reception.discard))

    def _put_on_record(self, push: Push, reception: Reception) -> Answer:
        received, now = reception.finish(), self._clock()
        if not received.size_bytes:
            raise Problem(400, "empty_body", "The body is empty: records were expected.")
        known = False
        if push.key is not None:
            known = self._receptions.bind_key(push.principal, push.key, push.target, received.content_hash, now)
            known = known and self._receptions.find(reception_id(push.target, received.content_hash)) is not None
        reception.land(received)
        return Answer(self._receptions.accept(push.principal, push.target, received, now), known)

    async def _each_block(self, chunks: AsyncIterator[bytes], write: Callable[[bytes], None]) -> None:
        """Write a body block by block; the next one is received meanwhile."""
        loop = asyncio.get_running_loop()
        held: list[bytes] = []
        held_bytes = brought_bytes = 0
        writing: asyncio.Future[None] | None = None
        try:
            async with asyncio.timeout(self._stalled_s) as deadline:
                async for chunk in chunks:
                    held.append(chunk)
                    held_bytes += len(chunk)
                    brought_bytes += len(chunk)
                    if held_bytes >= _BLOCK_BYTES:
                        if writing is not None:
                            # The time of the disk is not the client's.
                            deadline.reschedule(None)
                            await writing
                        writing = self._in_thread(partial(write, b"".join(held)))
                        held, held_bytes, brought_bytes = [], 0, _LEAST_BYTES
                    if brought_bytes >= _LEAST_BYTES:
                        deadline.reschedule(loop.time() + self._stalled_s)
                        brought_bytes = 0
            if writing is not None:
                await writing
            await self._in_thread(partial(write, b"".join(held)))
        finally:
            if writing is not None and not writing.done():
                # Its file must not be closed under it.
                await asyncio.wait([writing])

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)


def key_reused() -> Problem:
    """What is said of a key that was used for something else."""
    return Problem(
        422, "key_reused", "The Idempotency-Key was used for another push; take a key of its own for each, and keep it."
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
