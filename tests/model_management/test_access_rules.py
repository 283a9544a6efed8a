"""Access rules: what the firm's files say, and that no faulty one is taken for less than it is."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import Column, TableSchema
from omgov_assets.model_management.access_policies import AccessPolicies
from omgov_assets.model_management.access_rules import (
    ACCESS_DOCUMENT,
    AccessRules,
    load_access_rules,
)
from omgov_assets.model_management.control import DOCUMENTS, publish_documents, published_rows
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance

DAY = date(2026, 11, 20)


def column(name: str, sql_type: str = "VARCHAR", mask: str | None = None) -> Column:
    return Column(name, sql_type, False, False, name == "day", 1, "", mask)


def tables(mask: str | None = None) -> dict[str, TableSchema]:
    people = TableSchema(
        "people", (column("day", "DATE"), column("group"), column("phone", mask=mask), column("born", "DATE"))
    )
    series = TableSchema("series", (column("day", "DATE"), column("system"), column("person"), column("v", "DOUBLE")))
    return {"cmdb/people": people, "one/series": series, "two/series": series}


DOCUMENT = {
    "purposes": ["quality"],
    "roles": {"steward": {"brief": "Looks after data", "clearance": 2}},
    "principals": [
        {"id": "ann", "roles": ["steward"], "clearance": 2, "purposes": ["quality"], "valid_until": date(2027, 1, 1)}
    ],
    "row_filters": [{"datasets": ["*/series"], "system": "system"}],
    "masks": {"cmdb/people.phone": "hmac", "cmdb/people.born": "to_year"},
}
POLICY = '@id("stewards") permit (principal in Role::"steward", action, resource);\n'


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Path:
    folder = tmp_path / "project" / "governance" / "access"
    folder.mkdir(parents=True)
    shutil.copy(project_root / "governance" / "access" / "schema.cedarschema", folder)
    (folder / "access.yaml").write_text(yaml.safe_dump(DOCUMENT), encoding="utf-8")
    (folder / "all.cedar").write_text(POLICY, encoding="utf-8")
    return tmp_path / "project"


@pytest.fixture(scope="module")
def governance(project_root: Path) -> Governance:
    return load_governance(project_root)


def test_a_firm_without_rules_has_none_that_permit(tmp_path: Path) -> None:
    assert load_access_rules(tmp_path, tables()) == AccessRules(policies=AccessPolicies())


def test_the_firms_own_rules_are_part_of_its_control_information(governance: Governance) -> None:
    rules = governance.access
    assert "within-clearance" in rules.policies.names
    assert {role for principal in rules.principals for role in principal.roles} <= set(rules.roles)
    assert rules.mask("cmdb/owners", "phone") == "hmac"
    assert rules.row_filter("securities_trading/metric_instances") is not None
    assert rules.row_filter("control/documents") is None


def test_rules_and_policies_are_published_like_other_control_documents(
    governance: Governance, tmp_path: Path, project_root: Path
) -> None:
    lake = Lake(tmp_path / "lake", project_root / "governance" / "standard" / "data_contracts")
    publish_documents(lake, governance, DAY)
    kinds = {row["path"]: row["kind"] for row in published_rows(lake, DOCUMENTS, DAY)}
    assert kinds[ACCESS_DOCUMENT] == "access_rules"
    assert kinds["governance/access/columns.cedar"] == "access_policies"
    assert kinds["governance/access/schema.cedarschema"] == "access_policy_schema"


def test_the_hash_is_of_document_policies_and_schema(project: Path) -> None:
    def hash_now() -> str:
        return load_access_rules(project, tables()).policy_hash

    folder = project / "governance" / "access"
    hashes = [hash_now()]
    for name, more in (
        ("all.cedar", "\n// why\n"),
        ("schema.cedarschema", "\n// why\n"),
        ("access.yaml", "owner: a\n"),
    ):
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(more)
        hashes.append(hash_now())
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"principals": [{**DOCUMENT["principals"][0], "roles": ["boss"]}]}, "no role is called 'boss'"),  # type: ignore[index]
        ({"principals": [{**DOCUMENT["principals"][0], "purposes": ["fun"]}]}, "no purpose is called 'fun'"),  # type: ignore[index]
        ({"principals": [{**DOCUMENT["principals"][0], "clearance": 3}]}, "clearance 3 contradicts the roles"),  # type: ignore[index]
        ({"principals": [{**DOCUMENT["principals"][0], "clearance": 5}]}, "principals[0].clearance"),  # type: ignore[index]
        ({"principals": [{**DOCUMENT["principals"][0], "clearance": True}]}, "principals[0].clearance"),  # type: ignore[index]
        ({"principals": [{**DOCUMENT["principals"][0], "roles": []}]}, "principals[0].roles"),  # type: ignore[index]
        ({"principals": DOCUMENT["principals"] * 2}, "principals[1].id: 'ann' stands twice"),  # type: ignore[operator]
        ({"roles": {"steward": {"brief": "", "clearance": 2}}}, "roles.steward.brief"),
        ({"row_filters": [{"datasets": ["*/series"]}]}, "name the column of the system"),
        ({"row_filters": [{"datasets": ["*/gone"], "system": "system"}]}, "no dataset is '*/gone'"),
        ({"row_filters": [{"datasets": ["*/series"], "system": "gone"}]}, "has no column 'gone'"),
        ({"row_filters": [{"datasets": ["*/series"], "system": "v"}]}, "is DOUBLE"),
        ({"row_filters": [{"datasets": ["*/series"], "system": "system", "match": "any"}]}, "match says whether"),
        (
            {"row_filters": [{"datasets": ["*/series"], "system": "system", "support_group": "person"}]},
            "match says whether",
        ),
        (
            {"row_filters": [{"datasets": [name], "system": "system"} for name in ("*/series", "one/series")]},
            "one/series is in row_filters[0] as well",
        ),
        (
            {
                "row_filters": [
                    {
                        "datasets": ["*/series"],
                        "support_group": {"column": "person", "dataset": "cmdb/gone", "key": "a", "group": "b"},
                    }
                ]
            },
            "there is no dataset 'cmdb/gone'",
        ),
        (
            {
                "row_filters": [
                    {
                        "datasets": ["*/series"],
                        "support_group": {"column": "person", "dataset": "cmdb/people", "key": "a", "group": "group"},
                    }
                ]
            },
            "has no column 'a'",
        ),
        ({"masks": {"cmdb/people.fax": "hmac"}}, "has no column 'fax'"),
        ({"masks": {"cmdb/robots.phone": "hmac"}}, "no dataset is 'cmdb/robots'"),
        ({"masks": {"phone": "hmac"}}, "write <dataset>.<column>"),
        ({"masks": {"cmdb/people.born": "partial"}}, "'partial' does not fit cmdb/people.born, which is DATE"),
        ({"masks": {"cmdb/people.phone": "to_year"}}, "'to_year' does not fit cmdb/people.phone, which is VARCHAR"),
        ({"masks": {"cmdb/people.phone": "blur"}}, "masks.cmdb/people.phone"),
        ({"masks": {"cmdb/people.phone": None}}, "masks.cmdb/people.phone"),
        ({"metric_values": [{"datasets": ["*/series"], "metric": "person", "columns": ["w"]}]}, "has no column 'w'"),
        (
            {"mask_key": {"env": "2f" * 32, "valid_until": date(2027, 1, 1)}},
            "mask_key: Value error, env is the name of an environment variable",
        ),
        ({"mask_key": {"env": "KEY"}}, "mask_key.valid_until: the key is required"),
        ({"policies": {"text": POLICY}}, "policies are written in Cedar"),
        ({"grants": []}, "grants: the key is not known"),
    ],
)
def test_a_faulty_document_names_file_and_key(project: Path, change: dict[str, object], problem: str) -> None:
    (project / ACCESS_DOCUMENT).write_text(yaml.safe_dump({**DOCUMENT, **change}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"access\.yaml") as raised:
        load_access_rules(project, tables())
    assert problem in str(raised.value)


def test_a_key_written_into_the_document_is_not_repeated(project: Path) -> None:
    document = {**DOCUMENT, "mask_key": {"env": "2f" * 32, "valid_until": date(2027, 1, 1)}}
    (project / ACCESS_DOCUMENT).write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(GovernanceError) as raised:
        load_access_rules(project, tables())
    assert "2f2f" not in str(raised.value)


def test_a_mask_that_contradicts_the_contract_is_refused(project: Path) -> None:
    with pytest.raises(GovernanceError, match="contradicts the contract of cmdb/people, which masks the column by"):
        load_access_rules(project, tables(mask="partial"))
    assert load_access_rules(project, tables(mask="hmac")).mask("cmdb/people", "phone") == "hmac"


def test_a_mask_of_a_contract_must_fit_its_column(project: Path) -> None:
    (project / ACCESS_DOCUMENT).write_text(yaml.safe_dump({**DOCUMENT, "masks": {}}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"'blur' does not fit cmdb/people\.phone"):
        load_access_rules(project, tables(mask="blur"))


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("permit (principal", "not valid Cedar"),
        ("permit (principal, action, resource) when { 1 + };", "not valid Cedar"),
        ("permit (principal, action, resource);", "the 1. policy has no name"),
        ('@id("a") permit (principal, action == Action::"reed", resource);', 'unrecognized action `Action::"reed"`'),
        ('@id("a") permit (principal, action, resource) when { resource.owner == "x" };', "attribute `owner`"),
        ('@id("a") forbid (principal, action, resource) when { context.purpose < 1 };', "unexpected type"),
        ('@id("a") permit (principal == ?principal, action, resource);', "a template permits and forbids nothing"),
        ('@id("stewards") forbid (principal, action, resource);', "a policy of that name stands in all.cedar"),
        ('@id("a") permit (principal in Role::"boss", action, resource);', "there is no role 'boss'"),
        (
            '@id("a") permit (principal, action, resource) when { principal in [Role::"steward", Role::"boss"] };',
            "there is no role 'boss'",
        ),
        (
            '@id("a") forbid (principal, action, resource == Column::"cmdb/people.fax");',
            "there is no column 'cmdb/people.fax'",
        ),
        (
            '@id("a") forbid (principal, action, resource) when { resource in Column::"cmdb/people.fax" };',
            "there is no column 'cmdb/people.fax'",
        ),
        ('@id("a") permit (principal, action, resource in Dataset::"cmdb/robots");', "there is no dataset"),
        ('@id("a") permit (principal, action, resource in Folder::"gone");', "there is no folder 'gone'"),
        (
            '@id("a") forbid (principal in Role::"steward", action, resource);',
            "contradicts 'stewards': what the one permits the other forbids",
        ),
        (
            '@id("a") permit (principal, action, resource) when { context.purpose == "quality" };\n'
            '@id("b") forbid (principal, action, resource) when { context.purpose == "quality" };',
            "contradicts 'a'",
        ),
    ],
)
def test_a_faulty_policy_names_its_file(project: Path, policy: str, problem: str) -> None:
    (project / "governance" / "access" / "more.cedar").write_text(policy, encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"more\.cedar") as raised:
        load_access_rules(project, tables())
    assert problem in str(raised.value)


def test_a_policy_on_a_column_that_vanished_is_refused(project: Path) -> None:
    (project / "governance" / "access" / "more.cedar").write_text(
        '@id("a") forbid (principal, action, resource == Column::"cmdb/people.phone");', encoding="utf-8"
    )
    before = tables()
    assert load_access_rules(project, before).policies.names == ("stewards", "a")
    people = before["cmdb/people"]
    after = before | {"cmdb/people": TableSchema("people", tuple(c for c in people.columns if c.name != "phone"))}
    (project / ACCESS_DOCUMENT).write_text(yaml.safe_dump({**DOCUMENT, "masks": {}}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"there is no column 'cmdb/people\.phone'"):
        load_access_rules(project, after)


@pytest.mark.parametrize(
    ("said", "instead", "problem"),
    [
        ("entity Role;", "entity Role", "not usable"),
        ("  clearance: Long,", "", "not usable"),
        ("action see, see_masked", "action see", "action see_masked: it does not allow for what is asked"),
        ("  purpose: String,", "  purpose: Long,", "action read: it does not allow for what is asked"),
        ("  grade: Long,", "  grade: String,", "not usable"),
    ],
)
def test_a_schema_that_does_not_know_what_is_asked_is_refused(
    project: Path, said: str, instead: str, problem: str
) -> None:
    path = project / "governance" / "access" / "schema.cedarschema"
    text = path.read_text(encoding="utf-8")
    assert said in text
    path.write_text(text.replace(said, instead, 1), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"schema\.cedarschema") as raised:
        load_access_rules(project, tables())
    assert problem in str(raised.value)


def test_policies_without_a_schema_or_a_document_are_refused(project: Path) -> None:
    (project / "governance" / "access" / "schema.cedarschema").unlink()
    with pytest.raises(GovernanceError, match=r"schema\.cedarschema: document: file is missing"):
        load_access_rules(project, tables())
    (project / ACCESS_DOCUMENT).unlink()
    with pytest.raises(GovernanceError, match=r"is missing beside all\.cedar"):
        load_access_rules(project, tables())
