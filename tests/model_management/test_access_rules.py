"""Access rules: what the firm's files say, and that no faulty one is taken for less than it is."""

from __future__ import annotations

import json
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
from omgov_assets.model_management.control import DOCUMENTS, document_kind, publish_documents, published_rows
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
PROVIDER = {
    "name": "firm",
    "issuer": "https://id.example.com",
    "audience": "omgov",
    "algorithms": ["RS256", "EdDSA"],
    "jwks_url": "https://id.example.com/keys",
    "claims": {"roles": "groups", "clearance": "clearance", "purposes": "purposes"},
    "roles": {"Stewards": "steward"},
}
FILED = {**{key: value for key, value in PROVIDER.items() if key != "jwks_url"}, "jwks_file": "firm.jwks.json"}
PUBLIC = {"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
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


def with_provider(**changes: object) -> dict[str, object]:
    return {**DOCUMENT, "oidc": [{**PROVIDER, **changes}]}


def read_with(project: Path, document: dict[str, object]) -> AccessRules:
    (project / ACCESS_DOCUMENT).write_text(yaml.safe_dump(document), encoding="utf-8")
    return load_access_rules(project, tables())


def test_an_identity_provider_is_part_of_the_rules_and_of_their_hash(project: Path) -> None:
    (provider,) = read_with(project, with_provider()).oidc
    assert (provider.name, provider.claims.id, provider.longest_life_s) == ("firm", "sub", 3600)
    assert provider.principal_name("E-1") == "firm:E-1"
    hashes = {
        read_with(project, document).policy_hash for document in (DOCUMENT, with_provider(), with_provider(leeway_s=1))
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"algorithms": []}, "oidc[0].algorithms"),
        ({"algorithms": ["HS256"]}, "HS… is symmetric: whoever can verify such a token can make one"),
        ({"algorithms": ["RS256", "hs512"]}, "HS… is symmetric"),
        ({"algorithms": ["none"]}, "none is no signature"),
        ({"algorithms": ["NONE"]}, "none is no signature"),
        ({"algorithms": ["RSA1_5"]}, "'RSA1_5' is no algorithm"),
        ({"algorithms": ["ES256K"]}, "'ES256K' is no algorithm"),
        ({"algorithms": ["rs256"]}, "'rs256' is no algorithm"),
        ({"algorithms": ["RS256", "RS256"]}, "one stands twice"),
        ({"algorithms": "RS256"}, "oidc[0].algorithms"),
        ({"issuer": "http://id.example.com"}, "issuer begins with https://"),
        ({"issuer": ""}, "oidc[0].issuer"),
        ({"issuer": "https://id.example.com/?a=1"}, "an issuer has no query"),
        ({"issuer": "id.example.com"}, "issuer is no URL"),
        ({"jwks_url": "http://id.example.com/keys"}, "jwks_url begins with https://"),
        ({"jwks_url": "http://127.0.0.1.example.com/keys"}, "jwks_url begins with https://"),
        ({"jwks_url": "http://localhost@example.com/keys"}, "neither a user"),
        ({"jwks_url": "file:///etc/passwd"}, "jwks_url is no URL"),
        ({"jwks_url": "ftp://id.example.com/keys"}, "jwks_url begins with https://"),
        ({"jwks_url": "https://id.example.com:99999/keys"}, "jwks_url is no URL"),
        ({"jwks_url": "https://id.example.com/a b"}, "jwks_url is no URL"),
        ({"jwks_url": "https:///keys"}, "jwks_url is no URL"),
        ({"jwks_url": None}, "name jwks_url or jwks_file"),
        ({"jwks_file": "firm.jwks.json"}, "name jwks_url or jwks_file"),
        ({"audience": ""}, "oidc[0].audience"),
        ({"name": "Firm"}, "oidc[0].name"),
        ({"name": "a:b"}, "oidc[0].name"),
        ({"claims": {"roles": "groups"}}, "oidc[0].claims.clearance: the key is required"),
        ({"claims": {**PROVIDER["claims"], "id": "groups"}}, "groups cannot say two things"),  # type: ignore[dict-item]
        ({"claims": {**PROVIDER["claims"], "roles": "aud"}}, "aud has a meaning of its own"),  # type: ignore[dict-item]
        ({"claims": {**PROVIDER["claims"], "email": "mail"}}, "oidc[0].claims.email: the key is not known"),  # type: ignore[dict-item]
        ({"roles": {"Stewards": "boss"}}, "no role is called 'boss'"),
        ({"roles": ["steward"]}, "oidc[0].roles"),
        ({"longest_life_s": 0}, "oidc[0].longest_life_s"),
        ({"longest_life_s": 86_401}, "oidc[0].longest_life_s"),
        ({"longest_life_s": True}, "oidc[0].longest_life_s"),
        ({"leeway_s": -1}, "oidc[0].leeway_s"),
        ({"leeway_s": 3600}, "oidc[0].leeway_s"),
        ({"keys_kept_s": 1}, "oidc[0].keys_kept_s"),
        ({"key_set": "{}"}, "oidc[0].key_set: keys are written in a file of their own"),
        ({"secret": "x"}, "oidc[0].secret: the key is not known"),
    ],
)
def test_a_faulty_identity_provider_names_its_key(project: Path, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"access\.yaml: oidc\[0\]") as raised:
        read_with(project, with_provider(**changes))
    assert problem in str(raised.value)


def test_a_password_in_a_url_is_not_repeated(project: Path) -> None:
    for field in ("issuer", "jwks_url"):
        with pytest.raises(GovernanceError, match="neither a user, nor a password") as raised:
            read_with(project, with_provider(**{field: "https://omgov:hunter2@id.example.com/keys"}))
        assert "hunter2" not in str(raised.value)


def test_this_machine_may_be_asked_without_encryption(project: Path) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        url = f"http://{host}:8080/keys"
        assert read_with(project, with_provider(jwks_url=url, issuer=url)).oidc[0].jwks_url == url


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({**DOCUMENT, "oidc": [PROVIDER, {**PROVIDER, "name": "other"}]}, "oidc[1].issuer: 'https://id.example.com'"),
        ({**DOCUMENT, "oidc": [PROVIDER, {**PROVIDER, "issuer": "https://b.example.com"}]}, "oidc[1].name: 'firm'"),
        (
            {**with_provider(), "principals": [{**DOCUMENT["principals"][0], "id": "firm:ann"}]},  # type: ignore[index]
            "'firm:ann' is a name for principals of the identity provider 'firm'",
        ),
        (
            {**DOCUMENT, "principals": [{**DOCUMENT["principals"][0], "id": "nobody"}]},  # type: ignore[index]
            "'nobody' stands in the record for whoever did not prove who they are",
        ),
    ],
)
def test_nobody_is_called_like_somebody_else(project: Path, document: dict[str, object], problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"access\.yaml") as raised:
        read_with(project, document)
    assert problem in str(raised.value)


def test_a_key_set_beside_the_document_comes_with_the_rules(project: Path) -> None:
    path = (project / ACCESS_DOCUMENT).with_name("firm.jwks.json")
    path.write_text(json.dumps({"keys": [PUBLIC]}), encoding="utf-8")
    (provider,) = read_with(project, {**DOCUMENT, "oidc": [FILED]}).oidc
    assert json.loads(provider.key_set) == {"keys": [PUBLIC]}
    assert PUBLIC["x"] not in provider.model_dump_json()
    assert document_kind("governance/access/firm.jwks.json") == "identity_provider_keys"


@pytest.mark.parametrize("name", ["../firm.jwks.json", "/etc/firm.jwks.json", "keys.json", "a/firm.jwks.json", ""])
def test_a_key_set_lies_beside_the_document(project: Path, name: str) -> None:
    with pytest.raises(GovernanceError, match="jwks_file is the name of a file beside access"):
        read_with(project, {**DOCUMENT, "oidc": [{**FILED, "jwks_file": name}]})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "file is missing"),
        ("", "not valid JSON"),
        ("[]", "is no list of keys"),
        ('{"keys": []}', "is no list of keys"),
        ('{"keys": [], "keys": []}', "stands twice"),
        (json.dumps({"keys": ["one"]}), "is no key with kid and kty"),
        (json.dumps({"keys": [{"kty": "RSA"}]}), "is no key with kid and kty"),
        (json.dumps({"keys": [PUBLIC, PUBLIC]}), "keys[1].kid: 'one' stands twice"),
        (json.dumps({"keys": [{**PUBLIC, "d": "hunter2"}]}), "keys[0]: holds a secret"),
        (json.dumps({"keys": [{"kty": "oct", "kid": "one", "k": "hunter2"}]}), "keys[0]: holds a secret"),
    ],
)
def test_a_faulty_key_set_names_its_key_and_gives_no_secret_away(
    project: Path, content: str | None, problem: str
) -> None:
    if content is not None:
        (project / ACCESS_DOCUMENT).with_name("firm.jwks.json").write_text(content, encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"firm\.jwks\.json") as raised:
        read_with(project, {**DOCUMENT, "oidc": [FILED]})
    assert problem in str(raised.value)
    assert "hunter2" not in str(raised.value)
