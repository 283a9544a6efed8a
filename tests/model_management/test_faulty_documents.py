"""A fault in `governance/` or `expectations/` is found at load time and says file, key and remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm

from omgov_assets.model_management.documents import parse_yaml, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_policy.policies import check_suite_files, load_policy_set

SYSTEM_FOLDER = f"governance/systems/{SYSTEM}"
DEFS = f"{SYSTEM_FOLDER}/defs.yaml"
CONTRACT = f"{SYSTEM_FOLDER}/metric_instances.odcs.yaml"
STANDARD_CONTRACT = "governance/standard/data_contracts/metric_instances.odcs.yaml"
MODEL = f"{SYSTEM_FOLDER}/metric_instances.sql"
MAPPINGS = f"{SYSTEM_FOLDER}/metric_mappings.yaml"
SPELLINGS = "governance/standard/unit_spellings.yaml"
SUITE = "expectations/metric_instances.json"
FIRM = "governance/firm.yaml"

Change = Callable[[str], str]


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    return build_small_firm(tmp_path)


def replaced(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def added(lines: str) -> Change:
    return lambda text: text + lines


def load(project: Path) -> None:
    """What `omgov run` and the Dagster definitions load."""
    governance = load_governance(project)
    check_suite_files(project, {system.name: system.datasets for system in governance.systems.values()})
    for system in governance.systems.values():
        for dataset in system.datasets:
            load_policy_set(project, system.name, dataset)


def fault(project: Path) -> GovernanceError:
    with pytest.raises(GovernanceError) as caught:
        load(project)
    return caught.value


def test_the_small_firm_itself_has_no_fault(firm: SmallFirm) -> None:
    load(firm.settings.project)


@pytest.mark.parametrize(
    ("file", "change", "key", "problem"),
    [
        # Syntax
        (FIRM, added("  oops: [\n"), "line 5, column 3", "not valid YAML"),
        (DEFS, replaced("attributes:", "attributes"), "line 3, column 9", "not valid YAML"),
        (CONTRACT, added("\tx: 1\n"), "line 51, column 1", "not valid YAML"),
        (MODEL, replaced("kind: conform", "kind: [conform"), "line 3, column 8", "not valid YAML"),
        (FIRM, added("x: \x07\n"), "document", "not valid YAML"),
        # Unknown key
        (FIRM, added("day: 2026-11-01\n"), "day", "not known"),
        (DEFS, replaced("title:", "titel:"), "attributes.title", "required"),
        (
            DEFS,
            replaced("format: csv", "format: csv\n      encodign: gbk"),
            "attributes.datasets.metric_definitions.encodign",
            "not known",
        ),
        (
            CONTRACT,
            replaced("required: true", "requierd: true"),
            "schema[0].properties[0].requierd",
            "not known in ODCS",
        ),
        (CONTRACT, replaced("schema:", "schemas: []\nschema:"), "schemas", "not known in ODCS"),
        (
            STANDARD_CONTRACT,
            replaced("physicalType: table", "physicaltype: table"),
            "schema[0].physicaltype",
            "not known",
        ),
        (MODEL, replaced("kind: conform", "kind: conform\nauthor: x"), "header.author", "not known"),
        (MAPPINGS, added("metrics: []\n"), "metrics", "not known"),
        (MAPPINGS, replaced("match: cpu", "mach: cpu"), "mappings[0].mach", "not known"),
        (SPELLINGS, added("spelling: {}\n"), "spelling", "not known"),
        # Key that stands twice
        (FIRM, added("name: again\n"), "name", "stands in line 1 and in line 5"),
        (
            DEFS,
            added("    owners:\n      format: csv\n    owners:\n      format: csv\n"),
            "attributes.datasets.owners",
            "line",
        ),
        (
            CONTRACT,
            added("        physicalType: BIGINT\n"),
            "schema[0].properties[12].physicalType",
            "stands in line",
        ),
        (
            MODEL,
            replaced("kind: conform", "kind: conform\nkind: derive"),
            "kind",
            "stands in line 2 and in line 3",
        ),
        (
            MAPPINGS,
            replaced("match: cpu", "match: cpu, match: mem"),
            "mappings[0].match",
            "in line 2 and in line 2",
        ),
        # Wrong type or value
        (FIRM, replaced("2026-11-01", "tomorrow"), "first_day", "valid date"),
        (FIRM, replaced("Asia/Shanghai", "Asia/Nowhere"), "timezone", "'Asia/Nowhere' is not a time zone"),
        (FIRM, lambda text: "just text\n", "document", "valid dictionary"),
        (
            DEFS,
            replaced("format: csv", "format: excel"),
            "attributes.datasets.metric_definitions.format",
            "'excel'",
        ),
        (
            DEFS,
            replaced("format: csv", "format: sqlite"),
            "attributes.datasets",
            "`table` goes with format sqlite",
        ),
        (DEFS, replaced(f"system: {SYSTEM}", "system: other"), "attributes.system", "says 'other'"),
        (DEFS, lambda text: "[]\n", "attributes", "valid dictionary"),
        (
            CONTRACT,
            replaced("physicalType: BIGINT", "physicalType: INT"),
            "schema[0].properties[4].physicalType",
            "'INT'",
        ),
        (
            CONTRACT,
            replaced("required: true", "required: perhaps"),
            "schema[0].properties[0].required",
            "'perhaps'",
        ),
        (
            CONTRACT,
            replaced("- name: ci\n", "- name: metric\n"),
            "schema[0].properties[1].name",
            "stands twice",
        ),
        (
            CONTRACT,
            replaced("- name: ci\n", "- name: ci\n        physicalName: metric\n"),
            "schema[0].properties[1].physicalName",
            "'metric' stands twice",
        ),
        (
            CONTRACT,
            replaced("- name: metric_instances", "- name: instances"),
            "schema[0].name",
            "describes 'instances'",
        ),
        (CONTRACT, replaced("v3.1.0", "v2.0.0"), "apiVersion", "v2.0.0"),
        (MODEL, replaced("version: 1.0.0", "version: 1.0"), "header.version", "valid string (given: 1.0)"),
        (MODEL, replaced("dataset: metric_instances", "dataset: other"), "header.dataset", "says 'other'"),
        (MODEL, replaced("/* ---", "/* --"), "header", "no YAML header"),
        (
            MAPPINGS,
            replaced("system.cpu.utilization", "system.cpu.use"),
            "mappings[0].metric",
            "not a standard metric",
        ),
        # Unknown dataset
        (
            DEFS,
            added("    gossip:\n      format: csv\n"),
            "attributes.datasets.gossip",
            "no standard data contract",
        ),
    ],
)
def test_a_fault_in_governance_names_file_key_and_remedy(
    firm: SmallFirm, file: str, change: Change, key: str, problem: str
) -> None:
    path = firm.settings.project / file
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    found = fault(firm.settings.project)
    assert found.path == path
    assert found.key == key
    assert problem in found.problem
    assert found.remedy
    assert str(found).startswith(f"{path}: {found.key}: ")
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    "file",
    [FIRM, SPELLINGS, CONTRACT, MODEL, "governance/standard/data_contracts/metric_definitions.odcs.yaml"],
)
def test_a_missing_file_is_named(firm: SmallFirm, file: str) -> None:
    path = firm.settings.project / file
    path.unlink()
    found = fault(firm.settings.project)
    if "data_contracts" in file:  # the system that delivers the dataset misses its contract
        assert found.path.name == "defs.yaml"
        assert "add governance/standard/data_contracts/metric_definitions.odcs.yaml" in found.remedy
    else:
        assert (found.path, found.problem) == (path, "file is missing")
    assert found.remedy


def test_a_firm_without_a_system_is_told_what_to_add(tmp_path: Path, firm: SmallFirm) -> None:
    for path in (firm.settings.project / "governance" / "systems").glob("*/defs.yaml"):
        path.unlink()
    assert "add governance/systems/<system>/defs.yaml" in str(fault(firm.settings.project))


@pytest.mark.parametrize("file", [FIRM, MODEL, SUITE, CONTRACT])
def test_a_file_of_another_encoding_is_named(firm: SmallFirm, file: str) -> None:
    path = firm.settings.project / file
    path.write_bytes(path.read_bytes() + "# 磁盘\n".encode("gbk"))
    found = fault(firm.settings.project)
    assert found.path == path
    assert (found.problem, found.remedy) == ("not valid UTF-8", "save the file in UTF-8")


def edited(change: Callable[[Any], object]) -> Change:
    def apply(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return apply


def first(document: Any) -> Any:
    return document["expectations"][0]


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        (replaced('"name"', "name"), "line 2, column 3", "not valid JSON"),
        (lambda text: text[:-10], None, "not valid JSON"),
        (
            replaced('"severity": "critical"', '"severity": "critical", "severity": "info"'),
            "severity",
            "stands twice",
        ),
        (edited(lambda d: d.update(expectation=[])), "expectation", "not known"),
        (edited(lambda d: d.pop("expectations")), "expectations", "required"),
        (edited(lambda d: first(d).update(kwarg={})), "expectations[0].kwarg", "not known"),
        (edited(lambda d: first(d).pop("meta")), "expectations[0].meta", "required"),
        (edited(lambda d: first(d)["meta"].pop("policy_id")), "expectations[0].meta.policy_id", "required"),
        (
            edited(lambda d: first(d)["meta"].pop("anomaly_type")),
            "expectations[0].meta.anomaly_type",
            "required",
        ),
        (edited(lambda d: first(d)["meta"].pop("expected")), "expectations[0].meta.expected", "required"),
        (
            edited(lambda d: first(d)["meta"].update(quality_dimension="beauty")),
            "expectations[0].meta.quality_dimension",
            "beauty",
        ),
        (edited(lambda d: first(d).update(severity="fatal")), "expectations[0].severity", "'fatal'"),
        (edited(lambda d: first(d).pop("severity")), "expectations[0].severity", "required"),
        (edited(lambda d: first(d).update(kwargs=[])), "expectations[0].kwargs", "valid dictionary"),
        (edited(lambda d: first(d).update(type="ExpectColumn")), "expectations[0].type", "'ExpectColumn'"),
        (
            edited(lambda d: first(d)["meta"].update(requires="cmdb")),
            "expectations[0].meta.requires",
            "'cmdb'",
        ),
        (
            edited(lambda d: d["expectations"].insert(1, first(d))),
            "expectations[1].meta.policy_id",
            "'metric_instances.value_not_below_range' is used already in metric_instances.json",
        ),
    ],
)
def test_a_fault_in_a_suite_names_file_key_and_remedy(
    firm: SmallFirm, change: Change, key: str | None, problem: str
) -> None:
    path = firm.settings.project / SUITE
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    found = fault(firm.settings.project)
    assert found.path == path
    assert key is None or found.key == key
    assert problem in found.problem
    assert found.remedy
    assert "\n" not in str(found)


def test_a_policy_id_is_used_once_over_all_suites_of_a_dataset(firm: SmallFirm) -> None:
    suite = firm.settings.project / SUITE
    own = firm.settings.project / "expectations" / SYSTEM / "metric_instances.json"
    own.parent.mkdir()
    own.write_text(suite.read_text())
    found = fault(firm.settings.project)
    assert (found.path, found.key) == (own, "expectations[0].meta.policy_id")
    assert found.remedy == "give each policy an id of its own"


@pytest.mark.parametrize(
    "name", ["metric_instance.json", f"{SYSTEM}/owners.json", "other/metric_instances.json", "a/b/c.json"]
)
def test_a_suite_that_would_never_run_is_refused(firm: SmallFirm, name: str) -> None:
    path = firm.settings.project / "expectations" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"name": "x", "expectations": []}')
    found = fault(firm.settings.project)
    assert (found.path, found.key) == (path, "file name")
    assert "<dataset>.json or <system>/<dataset>.json" in found.remedy


def test_gxs_own_keys_of_a_suite_are_accepted(firm: SmallFirm) -> None:
    path = firm.settings.project / SUITE
    document = json.loads(path.read_text())
    before = load_policy_set(firm.settings.project, SYSTEM, "metric_instances").policy_hash
    document |= {
        "id": "0b2e7f0c-0000-0000-0000-000000000000",
        "notes": None,
        "meta": {"great_expectations_version": "1"},
    }
    first(document).update(id="1", notes="a note", description="what it says", rendered_content=[])
    path.write_text(json.dumps(document))
    load(firm.settings.project)
    assert load_policy_set(firm.settings.project, SYSTEM, "metric_instances").policy_hash == before


def test_aliases_and_merge_keys_are_no_keys_that_stand_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "base: &base {a: 1, b: 2}\nmore: &more {c: 3}\none: {<<: *base, a: 4}\n"
        "two: {<<: [*base, *more]}\nlist: [*base, *base]\n"
    )
    assert read_yaml(path)["one"] == {"a": 4, "b": 2}
    assert read_yaml(path)["two"] == {"a": 1, "b": 2, "c": 3}


def test_yaml_cannot_make_objects_or_eat_all_memory(tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="not valid YAML"):
        parse_yaml("!!python/object/apply:os.system ['true']", tmp_path / "a.yaml")
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 200))
    assert len(parse_yaml(laughs, tmp_path / "a.yaml")) == 200


@pytest.mark.parametrize("file", [DEFS, SUITE])
def test_the_command_line_says_a_fault_in_one_line(firm: SmallFirm, file: str) -> None:
    path = firm.settings.project / file
    path.write_text(
        path.read_text()
        .replace("format: csv", "format: excel", 1)
        .replace('"severity": "critical"', '"severity": "fatal"', 1)
    )
    script = Path(sys.executable).with_name("omgov")
    folders = {"OMGOV_HOME": str(firm.settings.home), "OMGOV_PROJECT": str(firm.settings.project)}
    done = subprocess.run(
        [script, "run", "--day", DAY.isoformat()],
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.startswith(f"omgov: {path}: ")
    assert ("excel" if file == DEFS else "fatal") in line
    assert line.endswith("; correct the value of this key")
    assert done.stdout == ""
    assert not firm.settings.lake.exists()
