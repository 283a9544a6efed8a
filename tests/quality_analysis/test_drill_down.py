"""Drill-down lists the anomalies of a cell; impact walks what hangs together; views show the lake to BI tools."""

from __future__ import annotations

import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb
import pytest
from lower_rooms import DAY, NEXT_DAY, RULES, Rooms, Row, instance, violation

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.drill_down import (
    Choice,
    UnknownKeyError,
    chosen_anomalies,
    count_anomalies,
    drill_down_command,
)
from omgov_assets.quality_analysis.impact import UnknownCiError, impact_of
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import STATISTICS, compute_statistics
from omgov_assets.quality_analysis.views import write_views
from omgov_assets.quality_policy.violations import VIOLATIONS

OPTION_OF_COLUMN = {
    "anomaly_type": "type",
    "quality_dimension": "quality-dimension",
    "severity": "severity",
    "system": "system",
    "metric": "metric",
    "application_id": "application",
    "host_id": "host",
    "network_device_id": "network-device",
    "site_id": "site",
    "support_group_id": "group",
    "owner_id": "owner",
    "collector": "collector",
}


def govern(rooms: Rooms, day: date = DAY) -> None:
    rooms.write_cmdb(day)
    cis = ["HOST-1", "HOST-2", "DB-1", "DB-2", "APP-1", "APP-2", "NET-1", "SITE-2", "GHOST", None]
    rooms.write("securities/metric_instances", day, [instance(f"i{n}", ci_id=ci) for n, ci in enumerate(cis) if ci])
    rows = [
        violation(f"i{n}", kind, ci_id=ci, severity=severity, quality_dimension=dimension, collector=collector)
        for n, ci in enumerate(cis)
        for kind, severity, dimension, collector in (
            ("flat_line", "warning", "accuracy", "c1"),
            ("stale_instance", "critical", "timeliness", None),
        )
        if (n + len(kind)) % 3
    ]
    rooms.write(
        VIOLATIONS, day, [*rows, violation("b", "refused_batch", subject_kind="batch", ci_id=None, metric=None)]
    )
    ledger = {"system": "securities", "dataset": "metric_instances", "batch_id": "batch", "decision": "partial"}
    rooms.write("admission/ledger", day, [ledger | {"file_name": "a.csv", "quarantine_reasons": "{}"}])
    identify_anomalies(rooms.lake, day, RULES)
    compute_statistics(rooms.lake, day, RULES)
    rank_anomalies(rooms.lake, day)
    compute_scorecards(rooms.lake, day, RULES)


def listed(rooms: Rooms, choice: Choice, **options: object) -> list[Row]:
    with chosen_anomalies(rooms.lake, DAY, choice, **options) as found:  # type: ignore[arg-type]
        rows: list[Row] = found.to_arrow_table().to_pylist()
    return rows


def test_every_cell_of_the_cube_lists_as_many_anomalies_as_it_counts(rooms: Rooms) -> None:
    govern(rooms)
    cells = rooms.rows(STATISTICS, DAY)
    assert len(cells) > 60
    for cell in cells:
        names = [] if cell["dimension_set"] == "all" else cell["dimension_set"].split("+")
        values = {OPTION_OF_COLUMN[name]: ("none" if cell[name] is None else cell[name],) for name in names}
        assert count_anomalies(rooms.lake, DAY, Choice(values)) == cell["anomalies"], values


def test_several_values_mean_any_and_several_options_all(rooms: Rooms) -> None:
    govern(rooms)
    both = listed(rooms, Choice({"host": ("HOST-1", "HOST-2"), "type": ("stale_instance",)}))
    assert {row["host_id"] for row in both} <= {"HOST-1", "HOST-2"}
    assert {row["anomaly_type"] for row in both} == {"stale_instance"}
    either = listed(rooms, Choice({"host": ("HOST-1", "none")}))
    assert {row["host_id"] for row in either} == {"HOST-1", None}
    assert count_anomalies(rooms.lake, DAY, Choice({"policy": ("metric_instances.flat_line",)})) == len(
        listed(rooms, Choice({"type": ("flat_line",)}))
    )


def test_names_are_taken_for_their_keys_and_typing_errors_are_told(rooms: Rooms) -> None:
    govern(rooms)
    assert listed(rooms, Choice({"group": ("主机组",)})) == listed(rooms, Choice({"group": ("SG-1",)})) != []
    assert listed(rooms, Choice({"owner": ("王伟",)})) == listed(rooms, Choice({"owner": ("OWN-1",)})) != []
    # A key of the CMDB without an anomaly is an empty answer, an unknown one an error.
    assert listed(rooms, Choice({"network-device": ("NET-2",), "type": ("refused_batch",)})) == []
    with pytest.raises(UnknownKeyError, match=r"--group SG-11: .* there are SG-1"):
        listed(rooms, Choice({"group": ("SG-11",)}))
    with pytest.raises(UnknownKeyError, match=r"--type flat_lime: .* there are flat_line"):
        listed(rooms, Choice({"type": ("flat_lime",)}))
    # What the platform or the CMDB knows has no anomaly today: that is an answer.
    for option, value in (("severity", "info"), ("ci", "SITE-1"), ("ci", "上海营业部"), ("subject-kind", "dataset")):
        assert listed(rooms, Choice({option: (value,)})) == []
    assert listed(rooms, Choice({"ci": ("sh-01",)})) == listed(rooms, Choice({"ci": ("HOST-1",)})) != []


def test_a_key_is_a_key_whatever_others_are_called(rooms: Rooms) -> None:
    govern(rooms)
    groups = [{"support_group_id": "SG-1", "name": "SG-3"}, {"support_group_id": "SG-3", "name": "x"}]
    rooms.write("cmdb/support_groups", DAY, groups)
    assert listed(rooms, Choice({"group": ("SG-3",)})) == []


def test_what_is_gone_since_yesterday_is_a_known_type(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("i1", "flat_line")])
    rooms.write(VIOLATIONS, NEXT_DAY, [violation("i1", "other")])
    for day in (DAY, NEXT_DAY):
        identify_anomalies(rooms.lake, day, RULES)
        compute_statistics(rooms.lake, day, RULES)
    assert count_anomalies(rooms.lake, NEXT_DAY, Choice({"type": ("flat_line",)})) == 0
    with pytest.raises(UnknownKeyError):
        count_anomalies(rooms.lake, NEXT_DAY, Choice({"type": ("never",)}))


def test_values_are_bound_and_never_part_of_the_query(rooms: Rooms) -> None:
    evil = "'; DROP TABLE anomalies; --"
    rooms.write(VIOLATIONS, DAY, [violation(evil, collector=evil), violation("i1")])
    identify_anomalies(rooms.lake, DAY, RULES)
    assert [row["subject_key"] for row in listed(rooms, Choice({"collector": (evil,)}))] == [evil]
    assert shlex.split(drill_down_command({"collector": evil}, DAY)) == [
        "omgov", "anomalies", "--collector", evil, "--day", "2026-11-20",
    ]  # fmt: skip


def test_rows_name_file_and_record_and_come_gravest_first(rooms: Rooms) -> None:
    govern(rooms)
    rows = listed(rooms, Choice(), limit=4)
    assert len(rows) == 4
    assert {row["severity"] for row in rows} == {"critical"}
    assert (rows[0]["source_file"], rows[0]["source_record"], rows[0]["open_days"]) == ("a.csv", 1, 1)


def test_new_ones_and_old_ones_can_be_asked_for(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("old")])
    rooms.write(VIOLATIONS, NEXT_DAY, [violation("old"), violation("new")])
    for day in (DAY, NEXT_DAY):
        identify_anomalies(rooms.lake, day, RULES)
    for choice, key in ((Choice(new=True), "new"), (Choice(seen_since=DAY), "old")):
        with chosen_anomalies(rooms.lake, NEXT_DAY, choice, "age") as found:
            assert [row["subject_key"] for row in found.to_arrow_table().to_pylist()] == [key]
    assert count_anomalies(rooms.lake, DAY, Choice(in_trading_session=True)) == 1
    assert count_anomalies(rooms.lake, NEXT_DAY, Choice(in_trading_session=True)) == 0


# --- impact
# ------------------------------------------------------------------------------------------------------------


def reached(rows: list[Row]) -> list[tuple[str, int, str]]:
    return [(row["direction"], row["distance"], row["ci_id"]) for row in rows]


def test_impact_names_what_hangs_on_a_ci_and_what_it_hangs_on(rooms: Rooms) -> None:
    govern(rooms)
    rows = impact_of(rooms.lake, DAY, "HOST-1")
    assert reached(rows)[0] == ("itself", 0, "HOST-1")
    assert sorted(reached(rows)[1:]) == [
        *(("dependency", 1, ci) for ci in ("NET-1", "NET-2", "SITE-1")),
        *(("dependent", 1, ci) for ci in ("APP-1", "APP-2", "DB-1", "DB-2")),
    ]
    ordered = [(row["distance"], -row["anomalies"], row["ci_id"]) for row in rows if row["direction"] == "dependent"]
    assert ordered == sorted(ordered)
    assert (rows[0]["name"], rows[0]["site"], rows[0]["support_group"], rows[0]["owner"]) == (
        "sh-01", "上海营业部", "主机组", "王伟",
    )  # fmt: skip
    counted = {row["ci_id"]: row["anomalies"] for row in rows}
    for row in rooms.rows("quality/anomalies", DAY):
        counted[row["ci_id"]] = counted.get(row["ci_id"], 0) - 1
    assert {ci_id: counted[ci_id] for ci_id in (row["ci_id"] for row in rows)} == dict.fromkeys(
        [row["ci_id"] for row in rows], 0
    )
    # APP-2 needs DB-1, which runs on HOST-1: HOST-1 is nearer by its own relation.
    assert ("dependency", 1, "HOST-1") in reached(impact_of(rooms.lake, DAY, "APP-2"))


def test_impact_can_be_asked_one_way_and_so_far(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    assert {row["direction"] for row in impact_of(rooms.lake, DAY, "NET-1", "dependents")} == {"itself", "dependent"}
    assert reached(impact_of(rooms.lake, DAY, "NET-1", "dependents", 1)) == [
        ("itself", 0, "NET-1"),
        ("dependent", 1, "HOST-1"),
    ]
    assert reached(impact_of(rooms.lake, DAY, "NET-1", "dependencies")) == [
        ("itself", 0, "NET-1"),
        ("dependency", 1, "SITE-1"),
    ]
    # What stands at a site hangs on it, and what hangs on that.
    of_site = impact_of(rooms.lake, DAY, "SITE-1", "dependents")
    assert {row["ci_id"]: row["distance"] for row in of_site} == {
        "SITE-1": 0, "HOST-1": 1, "HOST-2": 1, "DB-1": 1, "NET-1": 1, "NET-2": 1, "APP-1": 2, "APP-2": 2, "DB-2": 2,
        "APP-GONE": 2,
    }  # fmt: skip
    # By its name; and what relations alone name is not in the CMDB.
    assert reached(impact_of(rooms.lake, DAY, "sw-1")) == reached(impact_of(rooms.lake, DAY, "NET-1"))
    ghost = impact_of(rooms.lake, DAY, "APP-GONE")
    assert (ghost[0]["ci_class"], reached(ghost)[1]) == (None, ("dependency", 1, "HOST-2"))


def test_an_unknown_ci_is_told_with_those_called_alike(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    with pytest.raises(UnknownCiError, match=r"sh-O1: .* there are sh-01"):
        impact_of(rooms.lake, DAY, "sh-O1")
    with pytest.raises(UnknownCiError, match=r"HOST-11: the CMDB of 2026-11-20 lists no such CI; there are HOST-1"):
        impact_of(rooms.lake, DAY, "HOST-11")
    with pytest.raises(UnknownCiError, match="holds no configuration items of 2026-11-21"):
        impact_of(rooms.lake, NEXT_DAY, "HOST-1")
    rooms.write("cmdb/configuration_items", DAY, [{"ci_id": "A", "name": "same"}, {"ci_id": "B", "name": "same"}])
    with pytest.raises(UnknownCiError, match=r"2 CIs are called 'same': give the identifier, such as A, B"):
        impact_of(rooms.lake, DAY, "same")


@pytest.mark.parametrize("shape", ["star", "chain", "circle"])
def test_forty_thousand_cis_are_calm(rooms: Rooms, shape: str) -> None:
    size = 40_000
    rooms.write("cmdb/configuration_items", DAY, [{"ci_id": f"c{n}", "name": f"n{n}"} for n in range(size)])
    pairs = {
        "star": ((f"c{n}", "c0") for n in range(1, size)),
        "chain": ((f"c{n + 1}", f"c{n}") for n in range(size - 1)),
        "circle": ((f"c{(n + 1) % size}", f"c{n}") for n in range(size)),
    }[shape]
    names = ("source_ci_id", "relation", "target_ci_id")
    rooms.write("cmdb/ci_relations", DAY, [dict(zip(names, (a, "r", b), strict=True)) for a, b in pairs])
    began = time.perf_counter()
    rows = impact_of(rooms.lake, DAY, "c0", "dependents")
    # A generous bound: a walk that is not linear would take minutes.
    assert time.perf_counter() - began < 20
    assert len(rows) == size
    assert max(row["distance"] for row in rows) == {"star": 1, "chain": size - 1, "circle": size - 1}[shape]


# --- views
# -------------------------------------------------------------------------------------------------------------


def test_views_show_the_lake_and_no_personal_data(tmp_path: Path, project_root: Path) -> None:
    home = tmp_path / "a 'quoted' 证券 home"
    contracts = project_root / "governance" / "standard" / "data_contracts"
    rooms = Rooms(Lake(home / "lake", dataset_contracts=contracts))
    govern(rooms)
    govern(rooms, NEXT_DAY)
    path = home / "omgov.duckdb"
    written = write_views(rooms.lake, path)
    with duckdb.connect(str(path), read_only=True) as con:
        there = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        assert there == set(written) >= {"anomalies", "scorecards", "owners", "anomaly_applications"}
        assert con.execute("SELECT count(DISTINCT day) FROM anomalies").fetchone() == (2,)
        columns = {row[0] for row in con.execute("DESCRIBE owners").fetchall()}
        assert "name" in columns
        assert not columns & {"email", "phone"}
        joined = con.execute(
            "SELECT application_id, count(*) FROM anomalies JOIN anomaly_applications USING (day, anomaly_id) "
            f"WHERE day = '{DAY}' GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        cube = con.execute(
            "SELECT application_id, anomalies FROM anomaly_statistics WHERE dimension_set = 'application_id' "
            f"AND application_id IS NOT NULL AND day = '{DAY}' ORDER BY ALL"
        ).fetchall()
        assert joined == cube != []
        comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'anomalies' AND column_name = 'anomaly_type'"
        assert con.execute(comment).fetchone() == ("What is wrong.",)
        # A reader keeps what it has open, while the file is written anew.
        assert write_views(rooms.lake, path) == written
        assert con.execute("SELECT count(*) > 0 FROM anomalies").fetchone() == (True,)


def test_an_empty_lake_has_no_views(rooms: Rooms, tmp_path: Path) -> None:
    assert write_views(rooms.lake, tmp_path / "views.duckdb") == []
    assert not (tmp_path / "views.duckdb").exists()


def test_what_others_leave_beside_the_file_does_not_reach_the_next_one(rooms: Rooms, tmp_path: Path) -> None:
    govern(rooms)
    path = tmp_path / "views.duckdb"
    write_views(rooms.lake, path)
    assert path.stat().st_mode & 0o222 == 0
    path.with_name("views.duckdb.wal").write_bytes(b"a log of somebody else's writing")
    write_views(rooms.lake, path)
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute("SELECT count(*) > 0 FROM anomalies").fetchone() == (True,)
        comments = con.execute(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'anomaly_applications' ORDER BY column_index"
        ).fetchall()
        assert all(comment for (comment,) in comments)


def test_two_writers_at_once_leave_a_whole_file(rooms: Rooms, tmp_path: Path) -> None:
    govern(rooms)
    path = tmp_path / "views.duckdb"
    write_views(rooms.lake, path)
    with ThreadPoolExecutor(4) as writers:
        pending = [writers.submit(write_views, rooms.lake, path) for _ in range(8)]
        for _ in range(20):
            with duckdb.connect(str(path), read_only=True) as con:
                assert con.execute("SELECT count(*) > 0 FROM anomalies").fetchone() == (True,)
        assert len({tuple(one.result()) for one in pending}) == 1
    assert not list(tmp_path.glob("*.part"))
