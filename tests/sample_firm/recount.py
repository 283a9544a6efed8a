"""Recounting the anomalies of a generated day from the delivered files alone.

Belongs here: an independent reading of the five dialects and of the rules, with DuckDB, Arrow, PyYAML and the
standard library; nothing of omgov, neither the pipeline nor the generator. Governance documents are read as
what they are: decisions of the firm that bind everyone.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

SYSTEMS = (
    "securities_trading",
    "asset_management",
    "investment_banking",
    "wealth_management",
    "institutional_trading",
)
Subject = tuple[str, str, str, str]


class Cause(NamedTuple):
    """Figures of a cause: instances of its cell, their part of all, the rate in the cell and its ratio to the rate
    outside, the anomalies with this cause, and how many of them are of instances outside the cell.
    """

    instances: int
    support: float
    rate: float
    lift: float | None
    anomalies: int
    astray: int


# Size in base units, base unit, and what is counted, of the UCUM codes that the firm uses beside annotations.
_UNITS: dict[str, tuple[float, str, str]] = {
    "1": (1.0, "", ""), "%": (0.01, "", "share"), "[ppm]": (1e-6, "", "share"),
    "us": (1e-6, "s", ""), "ms": (1e-3, "s", ""), "s": (1.0, "s", ""), "min": (60.0, "s", ""),
    "h": (3600.0, "s", ""),
    "d": (86400.0, "s", ""), "By": (8.0, "bit", ""), "kBy": (8e3, "bit", ""), "MBy": (8e6, "bit", ""),
    "GBy": (8e9, "bit", ""), "KiBy": (8 * 1024.0, "bit", ""), "MiBy": (8 * 1024.0**2, "bit", ""),
    "GiBy": (8 * 1024.0**3, "bit", ""), "By/s": (8.0, "bit/s", ""), "kBy/s": (8e3, "bit/s", ""),
    "MBy/s": (8e6, "bit/s", ""), "KiBy/s": (8 * 1024.0, "bit/s", ""), "MiBy/s": (8 * 1024.0**2, "bit/s", ""),
    "bit/s": (1.0, "bit/s", ""), "kbit/s": (1e3, "bit/s", ""), "Mbit/s": (1e6, "bit/s", ""),
    "Gbit/s": (1e9, "bit/s", ""),
    "Cel": (1.0, "Cel", ""), "W": (1.0, "W", ""), "V": (1.0, "V", ""), "MHz": (1e6, "1/s", ""),
}  # fmt: skip


def recount(home: Path, project: Path, day: date) -> set[Subject]:
    """(system, dataset, anomaly type, subject key) of everything that is wrong with a day's deliveries."""
    with _read(home, project, day) as con:
        refused = [found for system in SYSTEMS for found in _refused(con, home, system, day)]
        rows = con.execute(_sql("recount.sql")).fetchall()
    found = {(str(a), str(b), str(c), str(d)) for a, b, c, d in rows}
    return found | {(system, "metric_instances", "refused_record", key) for system, key in refused}


def recount_causes(home: Path, project: Path, day: date) -> dict[str, Cause]:
    """What the deliveries say of each cause that ``truth/causes`` lists, by its identifier.

    Of the truth only the cells and the members' identifiers are taken: which subjects are said to have which cause.
    """
    with _read(home, project, day) as con:
        con.execute(f"CREATE TABLE anomalies (system, dataset, anomaly_type, subject_key) AS {_sql('recount.sql')}")
        for table, folder in (("causes", "truth/causes"), ("members", "truth")):
            con.read_parquet(str(home / folder / f"{day}.parquet")).create(table)
        rows = con.execute(_sql("recount_causes.sql")).fetchall()
    return {cause_id: Cause(*figures) for cause_id, *figures in rows}


def _sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _read(home: Path, project: Path, day: date) -> duckdb.DuckDBPyConnection:
    """A connection with the tables that the queries read."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    _read_standard(con, project)
    _read_baseline(con, project)
    _read_deliveries(con, home, day)
    _read_cmdb(con, home, day)
    _resolve(con, project)
    con.execute("SET VARIABLE day = $1::DATE", [day])
    con.execute("SET VARIABLE day_start = $1::TIMESTAMP AT TIME ZONE 'Asia/Shanghai'", [day])
    con.execute("SET VARIABLE day_end = getvariable('day_start') + INTERVAL 1 DAY")
    return con


def _file(home: Path, system: str, dataset: str, day: date) -> Path:
    (path,) = (home / "landing" / system / dataset / day.isoformat()).iterdir()
    return path


def _load(con: duckdb.DuckDBPyConnection, home: Path, system: str, dataset: str, day: date) -> None:
    """Table ``raw``: the records as delivered, with ``record_no``."""
    path = _file(home, system, dataset, day)
    if system in ("securities_trading", "cmdb"):
        encoding = "gbk" if system == "securities_trading" else "utf-8"
        header, *lines = (line.split(",") for line in path.read_bytes().decode(encoding).splitlines())
        records = [{k: v or None for k, v in zip(header, line, strict=True)} for line in lines]
    elif system == "investment_banking":
        _number(con, pq.read_table(path))
        return
    elif system == "wealth_management":
        with closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            records = [dict(row) for row in database.execute(f"SELECT * FROM {dataset} ORDER BY rowid")]
    else:
        text = path.read_text(encoding="utf-8")
        records = json.loads(text) if system == "institutional_trading" else [*map(json.loads, text.splitlines())]
        for key in {"labels", "tags"} & records[0].keys():
            for record in records:
                record[key] = json.dumps(record[key], sort_keys=True, separators=(",", ":"))
    _number(con, pa.table({key: pa.array([record[key] for record in records]) for key in records[0]}))


def _number(con: duckdb.DuckDBPyConnection, records: pa.Table) -> None:
    numbered = records.append_column("record_no", pa.array(range(1, records.num_rows + 1)))
    _store(con, "raw", numbered)


def _store(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    con.register("incoming", rows)
    con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    con.unregister("incoming")


_TAGS = """
    CASE WHEN 标签 IS NULL THEN '{}' ELSE
      '{' || array_to_string(list_sort(list_transform(string_split(标签, ';'),
        lambda t: '"' || split_part(t, '=', 1) || '":"' || substr(t, strpos(t, '=') + 1) || '"')), ',') || '}'
    END
"""
_DIMENSIONS = """
    '{' || array_to_string(list_sort(list_transform(map_entries(dimensions),
        lambda e: '"' || e.key || '":"' || e.value || '"')), ',') || '}'
"""
_INSTANCES = {
    "securities_trading": f"""
        SELECT 指标编码, 对象编号, {_TAGS}, 计量单位, 采集间隔秒::BIGINT,
               strptime(首次上报时间, '%Y/%m/%d %H:%M:%S') AT TIME ZONE 'Asia/Shanghai',
               strptime(最近上报时间, '%Y/%m/%d %H:%M:%S') AT TIME ZONE 'Asia/Shanghai',
               当日点数::BIGINT, 当日最小值::DOUBLE, TRY_CAST(当日最大值 AS DOUBLE), 当日平均值::DOUBLE,
               当日不同值数::BIGINT,
               当日最大值 IS NOT NULL AND TRY_CAST(当日最大值 AS DOUBLE) IS NULL, record_no, 采集器
        FROM raw""",
    "asset_management": """
        SELECT name, ci, labels, unit, replace("interval", 's', '')::BIGINT, first_seen::TIMESTAMPTZ,
               TRY_CAST(last_seen AS TIMESTAMPTZ), "count", "min", "max", mean, "distinct",
               last_seen IS NOT NULL AND TRY_CAST(last_seen AS TIMESTAMPTZ) IS NULL, record_no, agent
        FROM raw""",
    "investment_banking": f"""
        SELECT metric_code, ci_code, {_DIMENSIONS}, unit_code, interval_ms // 1000, first_seen, last_seen,
               points, low, high, average, distinct_values, false, record_no, collector_code
        FROM raw""",
    "wealth_management": """
        SELECT METRIC_NAME, CI_NO, TAGS, UNIT, INTERVAL_SEC,
               FIRST_TIME::TIMESTAMP AT TIME ZONE 'Asia/Shanghai', to_timestamp(LAST_TIME),
               SAMPLE_CNT, MIN_VAL, MAX_VAL, AVG_VAL, DISTINCT_CNT, false, record_no, AGENT
        FROM raw""",
    "institutional_trading": """
        SELECT metric, ci, tags, unit, "periodSeconds", to_timestamp("firstSeenNs" // 1000000000),
               to_timestamp("lastSeenNs" // 1000000000), samples, lowest, highest, average, "distinctValues",
               false, record_no, "source"
        FROM raw""",
}
_DEFINITIONS = {
    "securities_trading": """
        SELECT 指标编码, 计量单位, 采集间隔秒::BIGINT,
               map {'测量值': 'gauge', '累计值': 'counter', '增减值': 'updowncounter', '分布': 'histogram'}[指标类型],
               map {'整数': 'int', '小数': 'double'}[数值类型]
        FROM raw""",
    "asset_management": """
        SELECT name, unit, replace("interval", 's', '')::BIGINT, "type", value_type FROM raw""",
    "investment_banking": """
        SELECT metric_code, unit_code, interval_ms // 1000, lower(metric_type), if(is_integer, 'int', 'double')
        FROM raw""",
    "wealth_management": """
        SELECT METRIC_NAME, UNIT, INTERVAL_MIN * 60 + INTERVAL_SEC, KIND, DATA_TYPE FROM raw""",
    "institutional_trading": """
        SELECT metric, unit, "periodSeconds", kind, map {'long': 'int', 'double': 'double'}["dataType"] FROM raw""",
}
_SAMPLES = {
    "securities_trading": f"""
        SELECT 指标编码, 对象编号, {_TAGS},
               strptime(采集时间, '%Y/%m/%d %H:%M:%S') AT TIME ZONE 'Asia/Shanghai', 采集值::DOUBLE
        FROM raw""",
    "asset_management": """SELECT name, ci, labels, "time"::TIMESTAMPTZ, "value" FROM raw""",
    "investment_banking": f"SELECT metric_code, ci_code, {_DIMENSIONS}, sampled_at, sample_value FROM raw",
    "wealth_management": "SELECT METRIC_NAME, CI_NO, TAGS, to_timestamp(SAMPLE_TIME), SAMPLE_VAL FROM raw",
    "institutional_trading": """
        SELECT metric, ci, tags, to_timestamp("timeNs" // 1000000000), "value" FROM raw""",
}


_COLUMNS = {
    "all_instances": """
        system VARCHAR, source_metric VARCHAR, ci_id VARCHAR, attributes VARCHAR, source_unit VARCHAR,
        interval_s BIGINT, first_seen_at TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, sample_count BIGINT,
        sample_min DOUBLE, sample_max DOUBLE, sample_mean DOUBLE, sample_distinct BIGINT, unusable BOOLEAN,
        record_no BIGINT, collector VARCHAR""",
    "definitions": """
        system VARCHAR, source_metric VARCHAR, source_unit VARCHAR, interval_s BIGINT, instrument VARCHAR,
        value_type VARCHAR""",
    "samples": """
        system VARCHAR, source_metric VARCHAR, ci_id VARCHAR, attributes VARCHAR, observed_at TIMESTAMPTZ,
        "value" DOUBLE""",
}


def _read_deliveries(con: duckdb.DuckDBPyConnection, home: Path, day: date) -> None:
    """Tables ``all_instances``, ``definitions`` and ``samples`` of all systems."""
    queries = {"all_instances": _INSTANCES, "definitions": _DEFINITIONS, "samples": _SAMPLES}
    datasets = {
        "all_instances": "metric_instances",
        "definitions": "metric_definitions",
        "samples": "metric_samples",
    }
    for table, by_system in queries.items():
        con.execute(f"CREATE TABLE {table} ({_COLUMNS[table]})")
        for system, query in by_system.items():
            _load(con, home, system, datasets[table], day)
            con.execute(f"INSERT INTO {table} SELECT '{system}', * FROM ({query})")


def _refused(con: duckdb.DuckDBPyConnection, home: Path, system: str, day: date) -> list[tuple[str, str]]:
    batch = hashlib.sha256(_file(home, system, "metric_instances", day).read_bytes()).hexdigest()[:16]
    rows = con.execute("SELECT record_no FROM all_instances WHERE unusable AND system = $1", [system]).fetchall()
    return [(system, f"{batch}:{number}") for (number,) in rows]


def _read_cmdb(con: duckdb.DuckDBPyConnection, home: Path, day: date) -> None:
    for dataset in ("configuration_items", "ci_relations", "support_groups", "owners"):
        _load(con, home, "cmdb", dataset, day)
        con.execute(f"ALTER TABLE raw RENAME TO {dataset}")


def _read_standard(con: duckdb.DuckDBPyConnection, project: Path) -> None:
    metrics = [
        metric
        for path in sorted((project / "governance/standard/metric_definitions").glob("*.yaml"))
        for metric in yaml.safe_load(path.read_text(encoding="utf-8"))["metrics"]
    ]
    fields = (
        "metric", "unit", "valid_min", "valid_max", "ci_classes", "required_attributes", "varies", "instrument",
        "value_type", "stability", "since", "grace_days",
    )  # fmt: skip
    # What a definition does not say: a metric varies, and has 90 days of grace when it is retired.
    rows = [{field: m.get(field) for field in fields} | {"varies": m.get("varies", True)} for m in metrics]
    for row in rows:
        row |= {k: None if row[k] is None else float(row[k]) for k in ("valid_min", "valid_max")}
        row |= {"grace_days": 90 if row["grace_days"] is None else row["grace_days"]}
    types = {
        "valid_min": pa.float64(), "valid_max": pa.float64(), "varies": pa.bool_(), "since": pa.date32(),
        "grace_days": pa.int32(),
    }  # fmt: skip
    lists = {"ci_classes", "required_attributes"}
    schema = pa.schema([(f, types.get(f, pa.list_(pa.string()) if f in lists else pa.string())) for f in fields])
    _store(con, "standard", pa.Table.from_pylist(rows, schema=schema))


def _read_baseline(con: duckdb.DuckDBPyConnection, project: Path) -> None:
    """Table ``baseline``: CI class, tier (as text; null for all tiers) and metric."""
    text = (project / "governance/standard/baseline_metrics.yaml").read_text(encoding="utf-8")
    rows = [
        {"ci_class": rule["ci_class"], "tier": None if tier is None else str(tier), "metric": metric}
        for rule in yaml.safe_load(text)["baselines"]
        for tier in rule.get("tiers") or [None]
        for metric in rule["metrics"]
    ]
    _store(con, "baseline", pa.Table.from_pylist(rows, pa.schema([(key, pa.string()) for key in rows[0]])))


def _resolve(con: duckdb.DuckDBPyConnection, project: Path) -> None:
    """Table ``resolved``: standard metric, UCUM code, unit status and factor per system, metric and unit."""
    text = (project / "governance/standard/unit_spellings.yaml").read_text(encoding="utf-8")
    spellings: dict[str, str] = yaml.safe_load(text)["spellings"]
    units = dict(con.execute("SELECT metric, unit FROM standard").fetchall())
    mappings = {
        system: yaml.safe_load(
            (project / "governance/systems" / system / "metric_mappings.yaml").read_text(encoding="utf-8")
        )["mappings"]
        for system in SYSTEMS
    }
    names: dict[tuple[str, str], str | None] = {}
    rows: list[tuple[str | float | None, ...]] = []
    query = """
        SELECT system, source_metric, source_unit FROM all_instances
        UNION
        SELECT system, source_metric, source_unit FROM definitions"""
    for system, name, unit in con.execute(query).fetchall():
        if (system, name) not in names:
            names[system, name] = _standard_name(mappings[system], name)
        metric = names[system, name]
        code = None if unit is None else spellings.get(unit, unit if _meaning(unit) else None)
        status, factor = _judge(unit, code, None if metric is None else units[metric])
        rows.append((system, name, unit, metric, code, status, factor))
    columns = ("system", "source_metric", "source_unit", "metric", "unit", "unit_status", "factor")
    types = [pa.string()] * 6 + [pa.float64()]
    values = zip(columns, zip(*rows, strict=True), types, strict=True)
    _store(con, "resolved", pa.table({name: pa.array(column, kind) for name, column, kind in values}))


def _standard_name(mappings: list[dict[str, str]], name: str) -> str | None:
    for mapping in mappings:
        pattern = mapping["match"].replace("[", "[[]")  # only * and ? are special
        if fnmatch.fnmatchcase(name, pattern):
            return mapping["metric"]
    return None


def _meaning(code: str) -> tuple[float, str, str] | None:
    if code in _UNITS:
        return _UNITS[code]
    if code.startswith("{"):
        thing, _, per = code.partition("}")
        if per in ("", "/s", "/min"):
            return (1.0 / 60 if per == "/min" else 1.0, "1/s" if per else "", thing + "}")
    return None


def _judge(unit: str | None, code: str | None, standard: str | None) -> tuple[str, float | None]:
    if unit is None:
        return "missing", None
    if code is None:
        return "unknown", None
    if standard is None:
        return "ok", None
    here, there = _meaning(code), _meaning(standard)
    assert here is not None, f"unit {code} is not in the recount's table"
    assert there is not None, f"unit {standard} is not in the recount's table"
    if here[1] != there[1] or (here[2] != there[2] and here[2] and there[2]):
        return "incompatible", None
    return "ok", here[0] / there[0]
