"""Publishing data contracts day by day: what each is published as, and which changes of one are refused.

A contract is compared with what was published of it last. A refused one stays published as it was, so that the next
comparison is with the last *published* state and not with the refused one. Does not belong here: what a change means
(``contract_changes``); what becomes of deliveries under a refused contract (``admission``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.contract_changes import (
    ChangeKind,
    ContractChange,
    ContractDefinition,
    Side,
    VersionVerdict,
    classify_change,
    definition_of,
    require_version,
)
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.provenance import Provenance

DATA_CONTRACTS = "control/data_contracts"
# Stands in the place of a system for the contracts of the standard datasets.
STANDARD = "standard"

Decision = Literal["published", "refused"]


@dataclass(frozen=True)
class ContractPublication:
    """One contract on one day: a row of ``control/data_contracts``.

    Attributes:
        day: business day.
        system: business system, or ``standard``.
        dataset: dataset.
        version: version that is published; of a refused contract the one that was published before.
        decision: whether the contract as it is now is published.
        change: what changed since it was published last.
        changes: the changes in words.
        reason: why it was refused and what to do, or what is wrong with the version of a published one.
        definition: canonical JSON of what is compared, as published.
        content_hash: hash of the document, as published.
        document: file, relative to the project.
        author: who last changed the file.
    """

    day: date
    system: str
    dataset: str
    version: str
    decision: Decision
    change: ChangeKind | Literal["new"]
    changes: tuple[str, ...]
    reason: str | None
    definition: str
    content_hash: str
    document: str
    author: str | None


def publish_data_contracts(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance]
) -> list[ContractPublication]:
    """Write ``control/data_contracts`` of the day: every contract, published or refused.

    Each is compared with its newest publication on a day up to this one, an earlier publication of this very day
    included. Published again unchanged, a day keeps what it says, and nothing is written.

    Args:
        lake: where it is published.
        governance: control information with the contracts.
        day: business day.
        provenance: authors of files by path relative to the project; may lack any of them.

    Returns:
        The publications in the order of system and dataset.

    Raises:
        GovernanceError: a business system bears the name that is kept for the standard.
    """
    before = _last_publications(lake, day, {(system, contract.dataset) for system, contract in _contracts(governance)})
    publications = []
    for system, contract in _contracts(governance):
        document = contract.path.relative_to(governance.project).as_posix()
        known = provenance.get(document)
        publications.append(
            _publication(
                contract,
                document=document,
                author=known.author if known else None,
                system=system,
                day=day,
                last=before.get((system, contract.dataset)),
            )
        )
    publications.sort(key=lambda publication: (publication.system, publication.dataset))
    if publications != sorted(
        (last for last in before.values() if last.day == day), key=lambda last: (last.system, last.dataset)
    ):
        schema = lake.schema(DATA_CONTRACTS).arrow
        rows = [asdict(publication) for publication in publications]
        lake.replace(DATA_CONTRACTS, day, pa.Table.from_pylist(rows, schema=schema))
    return publications


def refused_contracts(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> dict[tuple[str, str], str]:
    """Reasons of the contracts that were refused on a day by system and dataset.

    The system is ``standard`` where the contract of the standard dataset was refused, which concerns the dataset of
    every system: ``refusal_of`` looks both up. Empty where no contracts were published on the day.
    """
    lake.register(con, "data_contracts_of_the_day", DATA_CONTRACTS, day)
    rows = con.execute(
        "SELECT system, dataset, reason FROM data_contracts_of_the_day WHERE decision = 'refused' ORDER BY ALL"
    ).fetchall()
    return {(system, dataset): reason for system, dataset, reason in rows}


def refusal_of(refused: Mapping[tuple[str, str], str], system: str, dataset: str) -> str | None:
    """Why a system's deliveries of a dataset have no published contract, or None where they have one."""
    reasons = [refused[key] for key in ((STANDARD, dataset), (system, dataset)) if key in refused]
    return "; ".join(reasons) or None


def _contracts(governance: Governance) -> Iterator[tuple[str, DataContract]]:
    """All contracts, each with its system or ``standard``."""
    if STANDARD in governance.systems:
        raise GovernanceError(
            governance.systems[STANDARD].folder,
            "folder",
            f"the name {STANDARD!r} is kept for the contracts of the standard datasets",
            "give the system another name",
        )
    for contract in governance.contracts.values():
        yield STANDARD, contract
    for system in governance.systems.values():
        for dataset in system.datasets.values():
            yield system.name, dataset.source_contract


def _last_publications(
    lake: Lake, day: date, wanted: set[tuple[str, str]]
) -> dict[tuple[str, str], ContractPublication]:
    """The newest publication up to the day of each contract that has one."""
    days = [other for other in lake.days(DATA_CONTRACTS) if other <= day]
    if not days:
        return {}
    with lake.connect() as con:
        lake.register(con, "publications", DATA_CONTRACTS, days[-1])
        found = _publications(con.execute("FROM publications"))
        # All days are read only where a contract is new, or was gone for a time.
        if len(days) > 1 and not wanted <= found.keys():
            lake.register(con, "publications", DATA_CONTRACTS, None)
            query = read_sql(Path(__file__).with_name("contract_publications_before.sql"))
            found = _publications(con.execute(query, {"day": day}))
    return found


def _publications(result: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], ContractPublication]:
    names = [column[0] for column in result.description or ()]
    found = {}
    for row in result.fetchall():
        values = dict(zip(names, row, strict=True))
        values["changes"] = tuple(values["changes"])
        publication = ContractPublication(**values)
        found[publication.system, publication.dataset] = publication
    return found


def _publication(
    contract: DataContract,
    *,
    document: str,
    author: str | None,
    system: str,
    day: date,
    last: ContractPublication | None,
) -> ContractPublication:
    current = ContractPublication(
        day=day,
        system=system,
        dataset=contract.dataset,
        version=contract.version,
        decision="published",
        change="new",
        changes=(),
        reason=None,
        definition=_canonical(definition_of(contract)),
        content_hash=contract.content_hash,
        document=document,
        author=author,
    )
    if last is None:
        return current
    if last.day == day and last.decision == "published" and last.content_hash == contract.content_hash:
        # What changed that day is still what changed, however often the day is published.
        return replace(last, document=document, author=author)
    change = ContractChange(())
    if last.content_hash != contract.content_hash:
        side: Side = "governed" if system == STANDARD else "delivered"
        change = classify_change(ContractDefinition.model_validate_json(last.definition), definition_of(contract), side)
    verdict = require_version(last.version, contract.version, change.kind)
    current = replace(current, change=change.kind, changes=change.sentences, reason=_reason(document, change, verdict))
    if verdict.accepted:
        return current
    return replace(
        current,
        decision="refused",
        version=last.version,
        definition=last.definition,
        content_hash=last.content_hash,
    )


def _reason(document: str, change: ContractChange, verdict: VersionVerdict) -> str | None:
    """What is wrong with the version, by what it is wrong, and what to do."""
    if verdict.problem is None:
        return None
    because = change.sentences_of(change.kind)
    named = f" ({'; '.join(because)})" if because else ""
    return f"{document}: {verdict.problem}{named}; {verdict.remedy}"


def _canonical(definition: ContractDefinition) -> str:
    return json.dumps(definition.model_dump(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
