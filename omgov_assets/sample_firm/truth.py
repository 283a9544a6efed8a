"""The ground truth of a day: every anomaly that the planted defects bring about, the causes that anomalies have in
common, and the look-alikes.

Written beside the landing folder, never into it. Does not belong here: what follows from what
(``consequences``), and which causes there are (``causes``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from omgov_assets.sample_firm.business_day import Bools, BusinessDay, Ints
from omgov_assets.sample_firm.causes import CausesOfDay
from omgov_assets.sample_firm.consequences import (
    anomalies_of_instances,
    look_alikes_of_instances,
    refused,
)
from omgov_assets.sample_firm.estate import Estate
from omgov_assets.sample_firm.inventory import Inventory
from omgov_assets.sample_firm.judgeable import DERIVATION_BLOCKED, DERIVED, NOT_DELIVERED, Deliveries
from omgov_assets.sample_firm.landing import Delivery
from omgov_assets.sample_firm.profiles import Profiles
from omgov_assets.sample_firm.records import Identities
from omgov_assets.sample_firm.samples import DEFECTS, Samples

_COLUMNS = ("system", "dataset", "anomaly_type", "subject_kind", "subject_key", "defect", "cause_id")
_LOOK_ALIKE_COLUMNS = ("system", "dataset", "kind", "resembles", "subject_kind", "subject_key")


@dataclass
class Truth:
    """Collects a day's anomalies, their causes and the look-alikes and writes them as Parquet.

    What cannot be judged, since a delivery is missing, is not told.
    """

    day: BusinessDay
    causes: CausesOfDay
    deliveries: Deliveries = field(default_factory=Deliveries)
    anomalies: list[pa.Table] = field(default_factory=list)
    look_alikes: list[pa.Table] = field(default_factory=list)
    _inventories: list[pa.Table] = field(default_factory=list)

    def add(self, system: str, dataset: str, rows: Iterable[tuple[str, str, str]], subject_kind: str = "row") -> None:
        """Add (anomaly type, subject key, defect) of subjects, mostly rows."""
        listed = [
            (
                system,
                dataset,
                kind,
                subject_kind,
                key,
                defect,
                self.causes.of_subject(system, dataset, kind, key, defect),
            )
            for kind, key, defect in rows
            if self.deliveries.can_judge(system, dataset, kind, defect)
        ]
        self.anomalies.append(_table(_COLUMNS, listed))

    def add_look_alikes(
        self, system: str, dataset: str, rows: Iterable[tuple[str, str, str]], subject_kind: str = "row"
    ) -> None:
        """Add (kind, anomaly type resembled, subject key) of subjects, mostly rows."""
        listed = [
            (system, dataset, kind, like, subject_kind, key)
            for kind, like, key in rows
            if self.deliveries.can_judge(system, dataset, like)
        ]
        self.look_alikes.append(_table(_LOOK_ALIKE_COLUMNS, listed))

    def add_instances(
        self,
        con: duckdb.DuckDBPyConnection,
        estate: Estate,
        inventory: Inventory,
        profiles: Profiles,
        identities: Identities,
        delivery: Delivery,
    ) -> int:
        """Add everything wrong with a system's instances; returns how many instances have something wrong."""
        system = inventory.definitions.dialect.system
        dataset = "metric_instances"
        wrong = [
            (kind, defect, where)
            for kind, defect, where in anomalies_of_instances(estate, inventory, profiles, self.day)
            if self.deliveries.can_judge(system, dataset, kind, defect)
        ]
        anomalous = np.logical_or.reduce([where for _, _, where in wrong])
        sound = ~anomalous & ~refused(profiles)
        alike = [
            (kind, like, where)
            for kind, like, where in look_alikes_of_instances(inventory, profiles, self.day, sound)
            if self.deliveries.can_judge(system, dataset, like)
        ]
        named = np.flatnonzero(np.logical_or.reduce([anomalous, *(where for _, _, where in alike)]))
        keys = instance_ids(con, system, identities, named)
        causes = self.causes.of_instances(inventory, ~refused(profiles), wrong)
        for (anomaly_type, defect, where), cause_ids in zip(wrong, causes, strict=True):
            table = _instances(_COLUMNS[:-1], system, dataset, anomaly_type, defect, keys, named, where)
            self.anomalies.append(table.append_column("cause_id", pa.array(cause_ids, pa.string())))
        for kind, resembled, where in alike:
            table = _instances(_LOOK_ALIKE_COLUMNS, system, dataset, kind, resembled, keys, named, where)
            self.look_alikes.append(table)
        self.add(
            system,
            dataset,
            (
                ("refused_record", f"{delivery.batch_id}:{position + 1}", "unusable_record")
                for position in np.flatnonzero(refused(profiles))
            ),
        )
        return int(anomalous.sum())

    def add_samples(
        self, con: duckdb.DuckDBPyConnection, system: str, identities: Identities, samples: Samples
    ) -> None:
        """Add everything wrong with a system's points, and what only looks like it."""
        named = np.unique(samples.instance)
        keys = instance_ids(con, system, identities, named).to_pylist()

        def subjects(points: Ints) -> list[str]:
            series = np.searchsorted(named, samples.instance[points])
            times = samples.observed_s[points]
            return [f"{keys[i]}|{_utc(int(t))}" for i, t in zip(series, times, strict=True)]

        dataset = "metric_samples"
        for anomaly_type, points in samples.faults.items():
            self.add(system, dataset, ((anomaly_type, key, DEFECTS[anomaly_type]) for key in subjects(points)))
        for kind, points in samples.look_alikes.items():
            self.add_look_alikes(system, dataset, ((kind, samples.resembled(kind), key) for key in subjects(points)))

    def add_missing(self) -> None:
        """Add the deliveries that are missing, and what cannot be derived without them."""
        for system, dataset in sorted(self.deliveries.missing):
            self.add(system, dataset, [(NOT_DELIVERED, dataset, "export_failed")], "dataset")
        for name, dataset in self.deliveries.blocked_metrics():
            self.add(DERIVED, dataset, [(DERIVATION_BLOCKED, name, "export_failed")], "processing_model")

    def add_inventory(
        self, con: duckdb.DuckDBPyConnection, system: str, identities: Identities, profiles: Profiles
    ) -> None:
        """Take in which series a system has in its inventory."""
        ids = instance_ids(con, system, identities, np.flatnonzero(~refused(profiles)))
        self._inventories.append(pa.table({"system": pa.repeat(system, len(ids)), "instance_id": ids}))

    def inventory(self) -> pa.Table:
        """Series of all inventories that were taken in: system, instance_id."""
        none = pa.schema([("system", pa.string()), ("instance_id", pa.string())]).empty_table()
        return pa.concat_tables([none, *self._inventories])

    def table(self) -> pa.Table:
        """The anomalies so far: day, system, dataset, anomaly_type, subject_kind, subject_key, defect, cause_id."""
        return self._of_day(self.anomalies)

    def write(self, out: Path) -> dict[str, int]:
        """Write ``truth/<day>.parquet``, the causes and the look-alikes; returns the number of anomalies by type."""
        name = f"{self.day.day.isoformat()}.parquet"
        causes = self.causes.table()
        write_table(self._of_day([causes]), out / "truth" / "causes" / name)
        anomalies = _with_known_causes(self.table(), causes["cause_id"])
        write_table(anomalies, out / "truth" / name)
        write_table(self._of_day(self.look_alikes), out / "truth" / "look_alikes" / name)
        counted = anomalies.group_by("anomaly_type").aggregate([([], "count_all")]).sort_by("anomaly_type")
        return dict(zip(counted["anomaly_type"].to_pylist(), counted["count_all"].to_pylist(), strict=True))

    def _of_day(self, tables: list[pa.Table]) -> pa.Table:
        table = pa.concat_tables(tables)
        day = pa.array([self.day.day] * table.num_rows, pa.date32())
        return table.add_column(0, "day", day)


def instance_ids(con: duckdb.DuckDBPyConnection, system: str, identities: Identities, positions: Ints) -> pa.Array:
    """Identifiers of the instances at ``positions``, ascending."""
    columns = {name: column.take(pa.array(positions)) for name, column in identities.columns().items()}
    con.register("named", pa.table({**columns, "position": pa.array(positions)}))
    query = """
        SELECT
            substr(md5(concat_ws(chr(31), $system, source_metric, ci_id, attributes)), 1, 16) AS instance_id
        FROM named
        ORDER BY position
    """
    try:
        return con.sql(query, params={"system": system}).to_arrow_table()["instance_id"].combine_chunks()
    finally:
        con.unregister("named")


def _instances(
    columns: tuple[str, ...],
    system: str,
    dataset: str,
    kind: str,
    cause: str,
    keys: pa.Array,
    named: Ints,
    where: Bools,
) -> pa.Table:
    positions = np.searchsorted(named, np.flatnonzero(where))
    constants = {"system": system, "dataset": dataset, "subject_kind": "row"}
    constants |= {"kind": kind, "resembles": cause} if "kind" in columns else {"anomaly_type": kind, "defect": cause}
    size = len(positions)
    return pa.table(
        {
            name: keys.take(pa.array(positions)) if name == "subject_key" else pa.repeat(constants[name], size)
            for name in columns
        }
    )


def _with_known_causes(anomalies: pa.Table, causes: pa.ChunkedArray) -> pa.Table:
    """Anomalies without the causes that are none in the end."""
    cause_id = anomalies["cause_id"]
    known = pc.if_else(pc.is_in(cause_id, value_set=causes), cause_id, pa.scalar(None, pa.string()))
    return anomalies.set_column(anomalies.column_names.index("cause_id"), "cause_id", known)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str | None, ...]]) -> pa.Table:
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pa.table({name: pa.array(list(column), pa.string()) for name, column in zip(columns, values, strict=True)})


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}+00"


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table of the truth, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)
