"""A small firm whose owners are canaries, delivered in every format and in every way in which a delivery can go wrong.

Five systems deliver ``owners``: the CMDB as CSV, a directory as NDJSON, a payroll as one JSON array, an archive as
SQLite, a branch as Parquet. Suites, policy views and models judge, break on and hand on what must not be shown.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml
from canaries import PHONE_FORMS, Canary
from small_firm import REPOSITORY, SYSTEM, SmallFirm, build_small_firm, csv_text, instance, parquet_bytes, sqlite_bytes

FIRST = date(2026, 11, 20)
SECOND = FIRST + timedelta(days=1)

# A steward is shown what is graded 2, and the rest masked.
ACCESS_RULES = """
purposes: [quality]
roles: {data_steward: {brief: Looks after data, clearance: 2}}
principals: [{id: steward, roles: [data_steward], clearance: 2, purposes: [quality], valid_until: 2099-12-31}]
masks: {"*/owners.email": partial, "*/owners.phone": hmac}
mask_key: {env: OMGOV_MASK_KEY, valid_until: 2099-12-31}
"""
ACCESS_POLICIES = """
@id("all") permit (principal, action, resource);
"""

COLUMNS = ["owner_id", "name", "email", "phone", "active", "support_group_id", "snapshot_day"]
# System that delivers owners: its format.
FORMATS: dict[str, dict[str, Any]] = {
    "cmdb": {"format": "csv", "limits": {"max_row_bytes": 2000}},
    "directory": {"format": "ndjson"},
    "payroll": {"format": "json"},
    "archive": {"format": "sqlite", "table": "people"},
    "branch": {"format": "parquet"},
}
_CAST = "SELECT * FROM {batch} WHERE phone IS NOT NULL AND "

Record = dict[str, Any]


@dataclass
class PersonalFirm:
    """The firm, and what was planted in it.

    Attributes:
        canaries: every canary by its place.
        landed: reason for which a batch or its records are refused, by (day, system, file name), None where none is.
    """

    firm: SmallFirm
    canaries: dict[str, Canary] = field(default_factory=dict)
    landed: dict[tuple[date, str, str], str | None] = field(default_factory=dict)

    @property
    def project_of_second_night(self) -> Path:
        """The project as it stands on the second night."""
        return self.firm.settings.project.with_name("project_of_second_night")

    def canary(self, place: str) -> Canary:
        """The canary of a place."""
        return self.canaries.setdefault(place, Canary(place))

    def owner(self, place: str, form: str = "plain", **changes: Any) -> Record:
        """A record of an owner whose address and number are the place's canary."""
        canary = self.canary(place)
        return {
            "owner_id": f"P-{place}", "name": "王芳", "email": canary.email, "phone": canary.phone(form),
            "active": "true", "support_group_id": "G1", "snapshot_day": None, **changes,
        }  # fmt: skip

    def land(self, system: str, name: str, content: bytes | str, reason: str | None, day: date = FIRST) -> None:
        """Put a file into the landing folder, of which the gate is to say ``reason``."""
        self.firm.deliver(system, "owners", content, day, name)
        self.landed[day, system, name] = reason


def build_personal_firm(root: Path) -> PersonalFirm:
    """The firm's project and the deliveries of two days below a folder."""
    firm = PersonalFirm(build_small_firm(root))
    project = firm.firm.settings.project
    shutil.copy(REPOSITORY / "governance" / "alert_routes.yaml", project / "governance")
    routes = project / "governance" / "alert_routes.yaml"
    text = routes.read_text(encoding="utf-8")
    # All messages at once, and one for each recipient however few anomalies there are.
    text = text.replace("most_messages_share: 0.01", "most_messages_share: 1").replace(
        "group_wait: 1m", "group_wait: 0s"
    )
    routes.write_text(text, encoding="utf-8")
    access = project / "governance" / "access"
    shutil.copytree(REPOSITORY / "governance" / "access", access, ignore=shutil.ignore_patterns("*.yaml", "*.cedar"))
    (access / "access.yaml").write_text(ACCESS_RULES, encoding="utf-8")
    (access / "all.cedar").write_text(ACCESS_POLICIES, encoding="utf-8")
    for system in FORMATS:
        _write_system(project / "governance" / "systems" / system, system)
    _write_policies(project)
    for day in (FIRST, SECOND):
        firm.firm.deliver_all(day, [instance(ci="H1", unit="no-such-unit"), instance(ci="H2")])
        (firm.firm.folder("cmdb", "owners", day) / "a.csv").unlink()
        _land_sound(firm, day)
    _land_spoilt_csv(firm)
    _land_spoilt_json(firm)
    _land_spoilt_binary(firm)
    _change_models(firm)
    return firm


def _change_models(firm: PersonalFirm) -> None:
    """What the systems' engineers publish between the nights: a model that drops the addresses, one that breaks."""
    shutil.copytree(firm.firm.settings.project, firm.project_of_second_night)
    folder = firm.project_of_second_night / "governance" / "systems"
    for system, old, new in (
        ("directory", "    email,", "    nullif(email, email) AS email,"),
        ("branch", "    phone,", "    CAST(strptime(phone, '%Y-%m-%d') AS VARCHAR) AS phone,"),
    ):
        path = folder / system / "owners.sql"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new).replace("version: 1.0.0", "version: 1.0.1"), encoding="utf-8")


def _write_system(folder: Path, system: str) -> None:
    folder.mkdir(exist_ok=True)
    definition = {"type": "omgov_assets.components.BusinessSystemComponent", "attributes": {}}
    if (folder / "defs.yaml").is_file():
        definition = yaml.safe_load((folder / "defs.yaml").read_text())
    attributes: dict[str, Any] = definition["attributes"]  # type: ignore[assignment]
    attributes |= {"system": system, "title": system, "owner": "data@example.com"}
    attributes["datasets"] = {**attributes.get("datasets", {}), "owners": FORMATS[system]}
    (folder / "defs.yaml").write_text(yaml.safe_dump(definition, sort_keys=False))
    for name in ("owners.odcs.yaml", "owners.sql"):
        shutil.copy(REPOSITORY / "governance" / "systems" / "cmdb" / name, folder / name)
    if system == "archive":
        model = (folder / "owners.sql").read_text(encoding="utf-8")
        broken = "    CAST(CAST(phone AS INTEGER) AS VARCHAR) AS phone,"
        (folder / "owners.sql").write_text(model.replace("    phone,", broken), encoding="utf-8")


def _policy(name: str, kind: str, /, meta: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    said = {"policy_id": name, "anomaly_type": name, "quality_dimension": "conformity", "expected": "what is right"}
    return {
        "type": kind,
        "kwargs": kwargs,
        "severity": "warning",
        "meta": {**said, "recovery": "Mend it.", **(meta or {})},
    }


def _rows(name: str, query: str, **meta: Any) -> dict[str, Any]:
    return _policy(name, "unexpected_rows_expectation", meta, unexpected_rows_query=query)


# Policies that some rows fail, by the dimension of what they show.
FAILING = [
    _policy("email_format", "expect_column_values_to_match_regex", column="email", regex=r"^[^@]+@example\.com$"),
    _policy("email_given", "expect_column_values_to_not_be_null", {"observed": ["email", "phone"]}, column="email"),
    _policy("phone_unique", "expect_column_values_to_be_unique", column="phone"),
    _policy("pair_unique", "expect_compound_columns_to_be_unique", column_list=["email", "phone"]),
    _policy("phone_short", "expect_column_value_lengths_to_be_between", column="phone", min_value=1, max_value=9),
    _policy("phone_known", "expect_column_values_to_be_in_set", column="phone", value_set=["110", "119"]),
    _policy("phones_known", "expect_column_distinct_values_to_be_in_set", column="phone", value_set=["110", "119"]),
    _policy("phone_most", "expect_column_most_common_value_to_be_in_set", column="phone", value_set=["110"]),
    _policy("email_json", "expect_column_values_to_be_json_parseable", column="email"),
    _policy("phone_date", "expect_column_values_to_match_strftime_format", column="phone", strftime_format="%Y-%m-%d"),
    _policy("pair_equal", "expect_column_pair_values_to_be_equal", column_A="email", column_B="phone"),
    _rows("email_of_group", "SELECT * FROM {batch} WHERE email NOT IN (SELECT name FROM own.support_groups)",
          observed=["owner_id", "email"], requires=["{system}/support_groups"]),
    _rows("renamed", "SELECT *, phone AS contact, email || '!' AS address FROM {batch} WHERE phone IS NOT NULL",
          observed=["contact", "address"]),
    _rows("renamed_alike", "SELECT * REPLACE (phone AS name) FROM {batch} WHERE phone IS NOT NULL", observed=["name"]),
]  # fmt: skip
# Policies that break on a value, and where a text of it would stand in the error.
BREAKING = [
    _rows("cast_breaks", _CAST + "CAST(phone AS INTEGER) > 0"),
    _rows("cast_of_mail_breaks", _CAST + "CAST(email AS DOUBLE) > 0"),
    _rows("overflow_breaks",
          _CAST + "CAST(regexp_replace(phone, '[^0-9]', '', 'g') AS BIGINT) * 9223372036854775 > 0"),
    _rows("range_breaks",
          _CAST + "CAST(CAST(regexp_replace(phone, '[^0-9]', '', 'g') AS BIGINT) AS INTEGER) > 0"),
    _rows("error_breaks", _CAST + "error(split_part(email, '@', 1)) IS NULL"),
    _rows("json_breaks", _CAST + "CAST(email AS JSON) IS NULL"),
    _rows("time_breaks", _CAST + "strptime(phone, '%Y-%m-%d') IS NULL"),
    _rows("date_breaks", _CAST + "CAST(phone AS DATE) IS NULL"),
    _rows("regex_breaks", _CAST + "regexp_matches('a', '(' || email)"),
    _rows("part_breaks", _CAST + "date_trunc(email, TIMESTAMP '2026-01-01') IS NULL"),
    _policy("between_breaks", "expect_column_values_to_be_between", column="phone", min_value=5, max_value=9),
    _policy("mean_breaks", "expect_column_mean_to_be_between", column="email", min_value=5, max_value=9),
    _rows("population_breaks", "SELECT * FROM {batch} WHERE phone IS NULL AND email IS NULL",
          population="SELECT CAST(max(phone) AS INTEGER) FROM {batch}"),
]  # fmt: skip
# Policies of the gate on the CMDB's owners.
AT_THE_GATE = [
    _policy("gate_refuses", "expect_column_values_to_not_match_regex", {"admission": "quarantine"},
            column="email", regex="gate"),
    _rows("gate_breaks", _CAST + "CAST(email AS INTEGER) > 0", admission="warn"),
]  # fmt: skip


def _write_policies(project: Path) -> None:
    def suite(path: str, *policies: dict[str, Any]) -> None:
        target = project / "expectations" / path
        target.parent.mkdir(exist_ok=True)
        name = path.removesuffix(".json").replace("/", "_")
        target.write_text(json.dumps({"name": name, "expectations": policies}), encoding="utf-8")

    everywhere = [FAILING[0], FAILING[2], BREAKING[0], BREAKING[1]]
    renamed = ({**p, "meta": {**p["meta"], "policy_id": f"all.{p['meta']['policy_id']}"}} for p in everywhere)
    suite("owners.json", *renamed)
    suite("cmdb/owners.json", *FAILING, *BREAKING, *AT_THE_GATE)
    # Views of other datasets see the owners as well: one shows them, one breaks on them.
    views = project / "governance" / "systems" / "cmdb" / "policy_views"
    views.mkdir()
    (views / "ci_relations.sql").write_text(
        "SELECT r.*, o.phone AS contact, o.email AS address FROM dataset AS r CROSS JOIN "
        "(SELECT * FROM own.owners ORDER BY owner_id LIMIT 1) AS o"
    )
    (views / "support_groups.sql").write_text(
        "SELECT g.*, (SELECT max(CAST(phone AS INTEGER)) FROM own.owners) AS number FROM dataset AS g"
    )
    (project / "expectations" / "ci_relations.json").unlink()
    suite("cmdb/ci_relations.json",
        _policy("contact_shown", "expect_column_values_to_be_null", column="contact"),
        _policy("contacts_shown", "expect_column_most_common_value_to_be_in_set", column="address", value_set=["none"]),
        _rows("contact_breaks", "SELECT * FROM {batch} WHERE CAST(contact AS INTEGER) > 0"),
    )  # fmt: skip
    suite("cmdb/support_groups.json",
          _policy("view_breaks", "expect_column_values_to_be_null", column="number"))  # fmt: skip


def _land_sound(firm: PersonalFirm, day: date) -> None:
    """Files of which all records are admitted; in them rows that policies find at fault.

    The day stands in each record: the same bytes on both days would be a repetition.
    """
    rows = [
        *(firm.owner(f"sound-{form}", form) for form in PHONE_FORMS),
        firm.owner("accountable", owner_id="O1"),
        firm.owner("bad-mail", email=f"{firm.canary('bad-mail').secret}#example.com"),
        firm.owner("no-mail", email=None),
        firm.owner("twice"),
        firm.owner("twice", owner_id="P-twice-2"),
        firm.owner("same-key"),
        firm.owner("same-key-again", owner_id="P-same-key"),
        firm.owner("quoted-mail", email=f"a'b\"{firm.canary('quoted-mail').secret}'c\"@example.com"),
        firm.owner("at-the-gate", email=f"gate-{firm.canary('at-the-gate').email}"),
    ]
    of_day = {"snapshot_day": day.isoformat()}
    rows = [row | of_day for row in rows]
    firm.land("cmdb", "people.csv", csv_text(COLUMNS, rows), "policy:gate_refuses", day)
    many = [firm.owner(f"directory-{number}", PHONE_FORMS[number % 5], active=True, **of_day) for number in range(25)]
    many[7]["email"] = f"x\ny {firm.canary('directory-7').email}"
    firm.land("directory", "people.json", "".join(json.dumps(row) + "\n" for row in many), None, day)
    paid = [firm.owner(f"payroll-{number}", active=True, **of_day) for number in range(3)]
    firm.land("payroll", "people.json", json.dumps(paid) + "\n", None, day)
    typed = [{**firm.owner(f"branch-{number}"), "active": True} for number in range(3)]
    firm.land("branch", "people.parquet", _parquet(typed, day), None if day == FIRST else "model_failed", day)
    old = [firm.owner(f"archive-{number}", **of_day) for number in range(3)]
    firm.land("archive", "people.db", sqlite_bytes("people", COLUMNS, old), "model_failed", day)


def _parquet(rows: list[Record], day: date = FIRST) -> bytes:
    return parquet_bytes(COLUMNS, [{**row, "snapshot_day": day} for row in rows])


def _land_spoilt_csv(firm: PersonalFirm) -> None:
    def line(place: str, *more: str) -> str:
        owner = firm.owner(place)
        return ",".join([*(str(owner[name] or "") for name in COLUMNS), *more])

    header = ",".join(COLUMNS)
    keep = line("keep")

    def land(name: str, lines: list[str], reason: str, top: str = header, end: str = "\n") -> None:
        firm.land("cmdb", f"{name}.csv", "\n".join([top, *lines]) + end, reason)

    wrong, required, few, quotes = (
        firm.canary(name) for name in ("wrong-type", "required", "too-few-fields", "broken-quotes")
    )
    land(
        "records",
        [
            line("keep-1"),
            f"P9,王芳,{wrong.email},{wrong.phone()},{wrong.email},G1,",
            f",王芳,{required.email},{required.phone()},true,G1,",
            line("too-many-fields", firm.canary("too-many-fields").email),
            f"{few.email},{few.phone()}",
            f'P8,"王"{quotes.email},"{quotes.email}",{quotes.phone()},true,G1,',
        ],
        "not_convertible:active required_missing:owner_id ragged_record broken_quotes",
    )
    land("again", [line("keep-5"), line("same-key").replace("王芳", "李娜")], "contradicts_earlier_batch")
    land("retyped", [f"P{n},王芳,{c.email},{c.phone()},{c.email},G1," for n, c in
                     ((n, firm.canary(f"retyped-{n}")) for n in range(3))], "retyped_column")  # fmt: skip
    land("empty", [f",王芳,{firm.canary('empty').email},{firm.canary('empty').phone()},true,G1,"], "empty_column")
    land("headless", [line("headless-2")], "missing_column", top=line("headless-1"))
    extra = firm.canary("extra-column")
    land("extra", [line("extra-value", "x", "y", "z")], "extra_column",
         top=f"{header},{extra.email},{extra.phone()},{extra.secret}")  # fmt: skip
    twice = firm.canary("column-twice")
    land("twice", [line("twice-value", "x", "y")], "duplicate_column", top=f"{header},{twice.secret},{twice.secret}")
    land("cut-off", [line("cut-off-1"), line("cut-off-2")], "truncated", end="")
    land("open-quote", [line("open-quote-1"), f'P7,"{firm.canary("open-quote-2").email},{line("open-quote-3")}'],
         "line_count_mismatch")  # fmt: skip
    land("too-long", [line("too-long-1"), line("too-long-2") + firm.canary("too-long-2").email * 100],
         "record_too_large")  # fmt: skip
    land("no-sound", [f"P6,王芳,{firm.canary('no-sound').email},{firm.canary('no-sound').phone()},maybe,G1,",
                      f"P5,,{firm.canary('no-sound-2').email},{firm.canary('no-sound-2').phone()},true,G1,"],
         "no_sound_record")  # fmt: skip
    gbk = "\n".join([header, line("gbk-1"), line("gbk-2")]) + "\n"
    firm.land("cmdb", "gbk.csv", gbk.encode("gbk"), "wrong_encoding")
    firm.land("cmdb", "utf-16.csv", gbk.replace("gbk", "utf").encode("utf-16"), "wrong_encoding")
    damaged = firm.canary("damaged")
    firm.land("cmdb", "damaged.csv", f"{header}\n{keep}\n".encode() + damaged.email.encode("utf-16-le") + b"\xff\n",
              "wrong_encoding")  # fmt: skip
    for place, name in (("file-name-phone", "plain"), ("file-name-phone-dashed", "dashed")):
        land(f"owners_{firm.canary(place).phone(name)}", [line(place)], "unusable_name")
    land(f"owners {firm.canary('file-name-mail').email}", [line("file-name-mail")], "unusable_name")


def _land_spoilt_json(firm: PersonalFirm) -> None:
    def row(place: str, **changes: Any) -> str:
        return json.dumps(firm.owner(place, active=True, **changes), ensure_ascii=False)

    def lines(name: str, reason: str, *records: str) -> None:
        firm.land("directory", f"{name}.json", "".join(f"{record}\n" for record in records), reason)

    key, broken = firm.canary("json-key"), firm.canary("json-broken")
    lines("garbage", "broken_json", row("json-keep-1"), f'{{"email": "{broken.email}", "phone": {broken.phone()}',
          f"{broken.phone()}", f'"{broken.email}"')  # fmt: skip
    lines("keys", "unexpected_key", row("json-keep-2"),
          row("json-key", **{key.email: 1, key.phone(): 2, key.secret: 3}))  # fmt: skip
    lines("same-keys", "duplicate_key", row("json-keep-3"),
          row("json-same-key")[:-1] + f', "email": "{firm.canary("json-same-key").phone()}"}}')  # fmt: skip
    lines(
        "typed",
        "not_convertible:email",
        row("json-keep-4"),
        row("json-typed", email=int(firm.canary("json-typed").digits)),
    )
    lines("all-keys", "extra_column", row("json-all-keys", **{firm.canary("json-all-keys").secret: 1}))
    lines("nothing", "unreadable", firm.canary("json-nothing").email, firm.canary("json-nothing").phone())
    array = f"[{row('array-1')},\n{row('array-2')}"
    firm.land("payroll", "open.json", f"{array}\n", "truncated")
    firm.land("payroll", "broken.json", f'{array}, {{"email": "{firm.canary("array-3").email}" "x"}}]\n', "unreadable")
    bare = f'{array}, {firm.canary("array-4").secret}: "{firm.canary("array-4").email}"]\n'
    firm.land("payroll", "bare.json", bare, "unreadable")


def _land_spoilt_binary(firm: PersonalFirm) -> None:
    rows = [{**firm.owner(f"parquet-{number}"), "active": True} for number in range(50)]
    parquet = _parquet(rows)
    firm.land("branch", "cut.parquet", parquet[:-30], "unreadable")
    middle = len(parquet) // 3
    firm.land("branch", "damaged.parquet", parquet[:middle] + b"\xff" * 40 + parquet[middle + 40 :], "unreadable")
    secret = firm.canary("parquet-column").secret
    wider = parquet_bytes([*COLUMNS, secret], [{**row, "snapshot_day": FIRST, secret: "x"} for row in rows])
    firm.land("branch", "wider.parquet", wider, "extra_column")
    retyped = [{**row, "active": row["email"]} for row in rows]
    firm.land("branch", "retyped.parquet", _parquet(retyped), "retyped_column")
    old = [firm.owner(f"sqlite-{number}") for number in range(200)]
    database = sqlite_bytes("people", COLUMNS, old)
    firm.land("archive", "cut.db", database[: len(database) // 2], "truncated")
    page = 4096 * 2
    firm.land("archive", "damaged.db", database[:page] + b"\xff" * 64 + database[page + 64 :], "unreadable")
    firm.land("archive", "other.db", sqlite_bytes(firm.canary("sqlite-table").secret, COLUMNS, old), "missing_table")
    columns = [*COLUMNS, firm.canary("sqlite-column").secret]
    firm.land("archive", "wider.db", sqlite_bytes("people", columns, old), "extra_column")


__all__ = ["AT_THE_GATE", "BREAKING", "FAILING", "FIRST", "SECOND", "SYSTEM", "PersonalFirm", "build_personal_firm"]
