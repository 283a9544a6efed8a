"""What a principal is offered: the shares that are its own, and of their tables those that it may read.

Owns one rule: a table that the access decision denies is absent, from lists and from its own address alike, as if
nobody had put it into the share. Does not belong here: keeping shares (``shares``), deciding (``access_control``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.interface_service.asking import Asking, AskingHere
from omgov_assets.interface_service.problems import not_there
from omgov_assets.interface_service.sharing.shares import Share, SharedTable, ShareStore

_LONGEST_ON_RECORD = 200


@dataclass(frozen=True)
class Offers:
    """The offers to whoever asks."""

    asking: Asking
    store: ShareStore

    def shares(self) -> list[Share]:
        """Its shares, by name."""
        return self.store.shares(self.asking.principal.name)

    def share(self, name: str) -> Share:
        """One of its shares. Raises ``Problem`` (404), on record."""
        for share in self.shares():
            if share.name.lower() == name.lower():
                return share
        raise self._refused(name)

    def tables(self, share: Share) -> list[SharedTable]:
        """The tables of a share that it may read, by schema and name; one entry on record."""
        readable = set(self.asking.door.datasets(self.asking.principal, "share"))
        return [table for table in self.store.tables(share.name) if table.dataset in readable]

    def tables_of(self, share: Share, schema: str) -> list[SharedTable]:
        """Those of a schema. Raises ``Problem`` (404), on record, where there is none."""
        tables = [table for table in self.tables(share) if table.schema.lower() == schema.lower()]
        if not tables:
            raise self._refused(f"{share.name}.{schema}")
        return tables

    def table(self, share: str, schema: str, name: str) -> SharedTable:
        """A table that is offered; whether it may be read is asked when it is. Raises ``Problem`` (404), on record."""
        for table in self.store.tables(self.share(share).name):
            if table.schema.lower() == schema.lower() and table.name.lower() == name.lower():
                return table
        raise self._refused(f"{share}.{schema}.{name}")

    def _refused(self, asked_for: str) -> Exception:
        asking = self.asking
        principal, policy_hash = asking.principal, asking.rules.policy_hash
        named = f"sharing/{asked_for}"[:_LONGEST_ON_RECORD]
        reason = "nothing of that name is offered to it"
        asking.service.audit.record(
            Decision(asking.at, principal.name, named, "deny", reason, policy_hash, principal.purpose)
        )
        return not_there()


def _offers(asking: AskingHere) -> Iterator[Offers]:
    # Opened by each request: what is taken back is gone at once, in every process.
    with ShareStore(asking.service.settings.shares) as store:
        yield Offers(asking, store)


OffersHere = Annotated[Offers, Depends(_offers)]
