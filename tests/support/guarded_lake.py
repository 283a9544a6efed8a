"""A small lake with rules that guard it, and strategies that draw rules, principals, rows and questions.

One dataset (``one/series``) with a column of every type, and CIs that know its support groups. What is drawn is plain
data of ``oracle.access``; here it becomes what omgov takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from hypothesis import strategies as st
from oracle.access import Asker, Grant, Row, Rules

from omgov_assets.access_control.decision import Decision, DecisionPoint
from omgov_assets.access_control.governed_query import Query, governed_select, question
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.principals import Principal
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import Column, TableSchema
from omgov_assets.model_management.access_policies import AccessPolicies
from omgov_assets.model_management.access_rules import AccessRules

DATASET, CIS = "one/series", "cmdb/cis"
DAY = date(2026, 11, 20)
AFTER = DAY + timedelta(days=1)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = MaskKey(bytes(range(32)), NOW + timedelta(days=1))
SCHEMA = Path(__file__).resolve().parents[2] / "governance" / "access" / "schema.cedarschema"

TYPES = {
    "day": "DATE",
    "system": "VARCHAR",
    "ci": "VARCHAR",
    "grp": "VARCHAR",
    "metric": "VARCHAR",
    "name": "VARCHAR",
    "alias": "VARCHAR",
    "born": "DATE",
    "seen_at": "TIMESTAMPTZ",
    "value": "DOUBLE",
    "count": "BIGINT",
    "flag": "BOOLEAN",
}
# What rows are filtered by; the rest may be masked and changed as one likes.
FILTERED_BY = ("day", "system", "ci", "grp", "metric")
_NEXT_GROUP = {"g1": "g2", "g2": "g3", "g3": "g1"}
_CI_TYPES = {"day": "DATE", "ci": "VARCHAR", "grp": "VARCHAR"}
_ARROW = {
    "DATE": pa.date32(),
    "VARCHAR": pa.string(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "DOUBLE": pa.float64(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
}
_MASKS = {
    "VARCHAR": ("hmac", "partial", "nullify", "drop"),
    "DATE": ("to_month", "to_quarter", "to_year", "nullify", "drop"),
    "TIMESTAMPTZ": ("to_day", "to_month", "to_quarter", "to_year", "nullify", "drop"),
}
_OTHERS = ("nullify", "drop")

NAMES = st.none() | st.sampled_from(["", "a", "ab", "b", "中文", "é", "😀x", "it's", "%", '"'])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "system": st.none() | st.sampled_from(["s1", "s2", "s3"]),
    "ci": st.none() | st.sampled_from(["c1", "c2", "c3", "c4"]),
    "grp": st.none() | st.sampled_from(["g1", "g2", "g3"]),
    "metric": st.none() | st.sampled_from(["m1", "m2", "m3", "m4", "m9"]),
    "name": NAMES,
    "alias": NAMES,
    "born": st.none() | st.dates(date(1950, 1, 1), date(2050, 12, 31)),
    "seen_at": st.none() | st.datetimes(datetime(1950, 1, 1), datetime(2050, 12, 31), timezones=st.just(UTC)),
    # 0.0 and -0.0 are equal in every order: the oracle cannot tell which comes first.
    "value": st.none() | st.floats(allow_nan=False).map(lambda number: number + 0.0),
    "count": st.none() | st.integers(-(2**63), 2**63 - 1),
    "flag": st.none() | st.booleans(),
}
rows = st.lists(st.fixed_dictionaries({"day": st.just(DAY), **VALUES}), max_size=12)
cis = st.dictionaries(st.sampled_from(["c1", "c2", "c3"]), st.sampled_from(["g1", "g2", "g3"]))
askers = st.builds(
    Asker,
    st.frozensets(st.sampled_from(["steward", "member", "steward", "member", "ghost"]), max_size=2),
    st.integers(1, 4),
    st.sampled_from(["quality", "reporting", "quality", "reporting", "fun"]),
    st.frozensets(st.sampled_from(["s1", "s2"])),
    st.frozensets(st.sampled_from(["g1", "g2"])),
)


@st.composite
def drawn_rules(draw: st.DrawFn) -> Rules:
    """Rules of which some permit everything, some little, and most something in between."""

    def pick(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    grants = []
    if pick(True, True, True, False):
        grants.append(Grant("base-datasets", "permit", pick("read", None), None, None, None, None, None))
        grants.append(Grant("base-columns", "permit", pick("see", None), None, None, None, None, None))
    for number in range(draw(st.integers(0, 4))):
        effect = pick("permit", "permit", "forbid")
        action = pick("read", "read_all_rows", "see", "see_masked", "see_masked")
        of_column = action in ("see", "see_masked")
        grants.append(
            Grant(
                f"drawn-{number}",
                effect,
                action,
                pick(None, "steward", "member"),
                None if of_column else pick(None, DATASET, CIS),
                pick(None, None, "name", "born", "value") if of_column else None,
                pick(None, None, 2, 3) if of_column else None,
                pick(None, None, "quality"),
            )
        )
    return Rules(
        roles={"steward": pick(2, 4), "member": pick(1, 3)},
        purposes=("quality", "reporting"),
        grants=grants,
        grades={column: draw(st.integers(1, 4 if column not in FILTERED_BY else 3)) for column in TYPES},
        made_of=pick({}, {"alias": "name"}, {"alias": "gone"}, {"alias": "name", "count": "value"}),
        masks={
            column: pick(*_MASKS.get(sql_type, _OTHERS))
            for column, sql_type in TYPES.items()
            if pick(True, True, False)
        },
        system=pick("", "system"),
        group=pick("", "grp", "through", "through_last"),
        match=pick("all", "any"),
        by_metric=pick((), ("value",), ("value", "name", "count")),
        metric_grades={"m1": 1, "m2": 2, "m3": 3, "m4": 4},
    )


@st.composite
def questions(draw: st.DrawFn, columns: Sequence[str]) -> tuple[list[str], list[tuple[str, str, Any]], int | None]:
    """Columns, conditions and a limit, of columns that are shown."""
    wanted = draw(st.lists(st.sampled_from(columns), min_size=1, unique=True))
    conditions = []
    for column in draw(st.lists(st.sampled_from(columns), max_size=2)):
        sign = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "is null", "is not null"]))
        value = None
        if not sign.startswith("is"):
            drawn = st.just(DAY) if column == "day" else VALUES[column]
            value = draw(drawn.filter(lambda one: one is not None))
        conditions.append((column, sign, value))
    return wanted, conditions, draw(st.none() | st.integers(0, 4))


def decision_point(rules: Rules, key: MaskKey | None = KEY) -> DecisionPoint:
    """The decision function by drawn rules."""
    schema = TableSchema(
        DATASET,
        tuple(
            Column(
                column,
                sql_type,
                False,
                False,
                column == "day",
                rules.grades[column],
                "",
                None,
                (f"{DATASET}.{rules.made_of[column]}",) if column in rules.made_of else (),
            )
            for column, sql_type in TYPES.items()
        ),
    )
    cis = TableSchema(CIS, tuple(Column(c, t, False, False, c == "day", 1, "") for c, t in _CI_TYPES.items()))
    group: Any = rules.group or None
    if rules.group.startswith("through"):
        group = {"column": "ci", "dataset": CIS, "key": "ci", "group": "grp"}
        if rules.group == "through_last":
            group["as_of"] = "last_day"
    row_filter = {"datasets": [DATASET], "system": rules.system or None, "support_group": group}
    if rules.system and rules.group:
        row_filter["match"] = rules.match
    document = {
        "purposes": rules.purposes,
        "roles": {role: {"brief": role, "clearance": clearance} for role, clearance in rules.roles.items()},
        "row_filters": [row_filter] if rules.system or rules.group else [],
        "metric_values": [{"datasets": [DATASET], "metric": "metric", "columns": rules.by_metric}]
        if rules.by_metric
        else [],
        "masks": {f"{DATASET}.{column}": mask for column, mask in rules.masks.items()},
    }
    text = "\n".join(map(_cedar, rules.grants))
    policies = AccessPolicies(text, SCHEMA.read_text(encoding="utf-8"), tuple(grant.name for grant in rules.grants))
    access = AccessRules.model_validate(document).model_copy(update={"policies": policies})
    return DecisionPoint(access, {DATASET: schema, CIS: cis}, rules.metric_grades, key)


def principal(asker: Asker) -> Principal:
    """An asker as omgov takes it."""
    return Principal("p", asker.roles, asker.clearance, asker.purpose, asker.groups, asker.systems)


def guarded_lake(folder: Path) -> Lake:
    """An empty lake for the datasets."""
    contracts = folder / "contracts"
    contracts.mkdir(parents=True)
    for name, types in (("series", TYPES), ("cis", _CI_TYPES)):
        properties = [{"name": c, "physicalType": t, "required": c == "day"} for c, t in types.items()]
        document = {"schema": [{"name": name, "properties": properties}]}
        (contracts / f"{name}.odcs.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return Lake(folder / "home" / "lake", contracts)


def groups_by_day(group_of_ci: dict[str, str]) -> dict[tuple[date, str], str]:
    """The group of each CI on the day and on the one after, when all were given to the next group."""
    after = {(AFTER, ci): _NEXT_GROUP.get(group, group) for ci, group in group_of_ci.items()}
    return {(DAY, ci): group for ci, group in group_of_ci.items()} | after


def fill(lake: Lake, series: Sequence[Row], group_of_ci: dict[str, str], parts: int = 1) -> None:
    """Make the lake hold these rows of the day, in so many commits, and the groups of CIs of ``groups_by_day``."""
    for day in (DAY, AFTER):
        of_day = [(ci, group) for (other, ci), group in groups_by_day(group_of_ci).items() if other == day]
        lake.replace(CIS, day, _table(_CI_TYPES, [{"day": day, "ci": ci, "grp": group} for ci, group in of_day]))
    size = max(1, -(-len(series) // parts))
    lake.replace(DATASET, DAY, _table(TYPES, series[:size]))
    for start in range(size, len(series), size):
        lake.append(DATASET, DAY, _table(TYPES, series[start : start + size]))


def governed_rows(
    lake: Lake, decision: Decision, day: date | None, query: Query, key: MaskKey | None = None
) -> list[Row]:
    """A question answered by the statement of a decision, in the order of the columns asked for."""
    select = governed_select(lake, decision, day, key)
    statement, parameters = question(decision, query, select.sql)
    with lake.connect() as con:
        answered: list[Row] = con.sql(statement, params=select.parameters | parameters).to_arrow_table().to_pylist()
    return answered


def _table(types: dict[str, str], rows: Sequence[Row]) -> pa.Table:
    schema = pa.schema([pa.field(name, _ARROW[sql_type], name != "day") for name, sql_type in types.items()])
    return pa.Table.from_pylist(list(rows), schema=schema)


def _cedar(grant: Grant) -> str:
    who = f'principal in Role::"{grant.role}"' if grant.role else "principal"
    action = f'action == Action::"{grant.action}"' if grant.action else "action"
    what = "resource"
    if grant.column:
        what = f'resource == Column::"{DATASET}.{grant.column}"'
    elif grant.dataset:
        what = f'resource == Dataset::"{grant.dataset}"'
    conditions = []
    if grant.least_grade:
        conditions.append(f"resource.grade >= {grant.least_grade}")
    if grant.purpose:
        conditions.append(f'context.purpose == "{grant.purpose}"')
    when = f" when {{ {' && '.join(conditions)} }}" if conditions else ""
    return f'@id("{grant.name}") {grant.effect} ({who}, {action}, {what}){when};'
