"""Control information as assets: what their pages show, and the check on the contracts."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from small_firm import DAY, SYSTEM, SmallFirm

from omgov_assets.components import firm as firm_module
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.data_lake.schemas import platform_tables
from omgov_assets.definitions import build_defs
from omgov_assets.defs.control import DESCRIPTIONS, build_control_information
from omgov_assets.defs.jobs import INVENTORY
from omgov_assets.model_management.control_diff import CONTROL_TABLES

NEXT_DAY = DAY + timedelta(days=1)
CONTRACTS = dg.AssetKey(["control", "data_contracts"])


def publish(day: date = DAY, selection: Any = None) -> dg.ExecuteInProcessResult:
    firm_module.governance_of.cache_clear()
    firm_module.policy_set_of.cache_clear()
    result = dg.materialize(
        [build_control_information()],
        partition_key=day.isoformat(),
        resources={"lake": LakeResource()},
        selection=selection,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success
    return result


def metadata(result: dg.ExecuteInProcessResult, name: str) -> dict[str, Any]:
    (found,) = (
        event
        for event in result.asset_materializations_for_node("control_information")
        if event.asset_key.path[-1] == name
    )
    return {
        key: value.records if isinstance(value, dg.TableMetadataValue) else value.value
        for key, value in found.metadata.items()
    }


def edit(firm: SmallFirm, path: str, before: str, after: str) -> Path:
    file = firm.settings.governance / path
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")
    return file


def test_every_table_of_control_information_is_an_asset_with_its_columns(firm: SmallFirm) -> None:
    specs = {spec.key.to_user_string(): spec for spec in build_control_information().specs}
    tables = {name for name in platform_tables() if name.startswith("control/")}
    assert set(specs) == tables == {f"control/{name}" for name in DESCRIPTIONS}
    assert set(DESCRIPTIONS) == set(CONTROL_TABLES)
    for name, spec in specs.items():
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == platform_tables()[name].names
        assert all(column.description for column in columns)


def test_a_first_publication_is_compared_with_nothing(firm: SmallFirm) -> None:
    result = publish()
    assert {event.asset_key.path[-1] for event in result.asset_materializations_for_node("control_information")} == set(
        DESCRIPTIONS
    )
    found = metadata(result, "standard_metrics")
    assert found["dagster/row_count"] == len(firm.governance.metrics)
    assert (found["compared_with"], found["authors"]) == ("never published before", "not known")
    assert [found[change] for change in ("added", "removed", "changed")] == [0, 0, 0]
    assert "what_changed" not in found


def test_the_page_of_an_asset_names_what_changed_since_it_was_published_before(firm: SmallFirm) -> None:
    publish()
    edit(firm, "standard/metric_definitions/host.yaml", "interval_s: 60", "interval_s: 30")
    found = metadata(publish(NEXT_DAY), "standard_metrics")
    assert (found["compared_with"], found["changed"], found["added"]) == (DAY.isoformat(), 1, 0)
    (record,) = found["what_changed"]
    assert (record.data["field"], record.data["before"], record.data["after"]) == ("interval_s", "60", "30")


def test_no_more_than_twenty_changes_are_named(firm: SmallFirm) -> None:
    publish()
    rules = "".join(f"  - {{match: m{number}, metric: system.uptime}}\n" for number in range(50))
    edit(firm, f"systems/{SYSTEM}/metric_mappings.yaml", "mappings:\n", f"mappings:\n{rules}")
    found = metadata(publish(NEXT_DAY), "metric_mappings")
    assert (found["added"], found["changed"], len(found["what_changed"])) == (50, 0, 20)


def test_a_deleted_metric_is_a_warning_on_the_page_of_the_standard(firm: SmallFirm) -> None:
    publish()
    file = firm.settings.governance / "standard" / "metric_definitions" / "jvm.yaml"
    head, first, *rest = file.read_text(encoding="utf-8").split("  - metric: ")
    file.write_text("  - metric: ".join([head, *rest]), encoding="utf-8")
    found = metadata(publish(NEXT_DAY), "standard_metrics")
    name = first.split("\n", 1)[0]
    assert f"{name} is gone from governance/standard/metric_definitions" in found["warnings"]
    assert "withdrawn since 2026-11-21" in found["warnings"]


def contracts_evaluation(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = (found for found in result.get_asset_check_evaluations() if found.asset_key == CONTRACTS)
    return evaluation


def test_contracts_that_follow_from_those_before_pass_the_check(firm: SmallFirm) -> None:
    for day in (DAY, NEXT_DAY):
        evaluation = contracts_evaluation(publish(day))
        assert evaluation.passed
        assert (evaluation.asset_key, evaluation.check_name) == (CONTRACTS, "consistency")
        assert "data contracts published" in str(evaluation.description)


def test_a_refused_contract_fails_the_check_with_a_warning_that_names_it(firm: SmallFirm) -> None:
    publish()
    edit(firm, f"systems/{SYSTEM}/metric_instances.odcs.yaml", "physicalType: DOUBLE", "physicalType: VARCHAR")
    evaluation = contracts_evaluation(publish(NEXT_DAY))
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    (record,) = evaluation.metadata["refused_contracts"].records
    assert (record.data["system"], record.data["dataset"]) == (SYSTEM, "metric_instances")
    assert f"governance/systems/{SYSTEM}/metric_instances.odcs.yaml" in record.data["reason"]
    assert "1 of" in str(evaluation.description)


def test_a_new_major_version_of_a_changed_contract_is_published(firm: SmallFirm) -> None:
    publish()
    path = f"systems/{SYSTEM}/metric_instances.odcs.yaml"
    edit(firm, path, "physicalType: DOUBLE", "physicalType: VARCHAR")
    edit(firm, path, "version: 1.0.0", "version: 2.0.0")
    evaluation = contracts_evaluation(publish(NEXT_DAY))
    assert evaluation.passed
    assert evaluation.metadata["refused"].value == 0


def test_inventory_governance_judges_the_contracts_that_are_published_and_publishes_nothing(firm: SmallFirm) -> None:
    def contracts_check() -> dg.AssetCheckEvaluation:
        job = build_defs().resolve_job_def(INVENTORY)
        console = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = job.execute_in_process(partition_key=DAY.isoformat(), run_config=console)
        return contracts_evaluation(result)

    evaluation = contracts_check()
    assert not evaluation.passed
    assert "not evaluated: no data contract was published for 2026-11-20" in str(evaluation.description)
    assert not firm.lake.days("control/data_contracts")
    publish()
    assert contracts_check().passed


def test_one_table_can_be_published_alone(firm: SmallFirm) -> None:
    publish(selection=dg.AssetSelection.assets(dg.AssetKey(["control", "documents"])))
    assert firm.lake.days("control/documents") == [DAY]
    assert not firm.lake.days("control/standard_metrics")


def test_a_policy_that_nothing_can_pass_fails_the_check_of_the_policies(firm: SmallFirm) -> None:
    def policies_evaluation(day: date) -> dg.AssetCheckEvaluation:
        key = dg.AssetKey(["control", "quality_policies"])
        (found,) = (one for one in publish(day).get_asset_check_evaluations() if one.asset_key == key)
        return found

    assert policies_evaluation(DAY).passed
    suite = firm.settings.project / "expectations" / "metric_instances.json"
    suite.write_text(suite.read_text(encoding="utf-8").replace('"min_value": 0.5', '"min_value": 0.5, "max_value": 0'))
    firm_module.governance_of.cache_clear()
    firm_module.policy_set_of.cache_clear()
    evaluation = policies_evaluation(NEXT_DAY)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    (record,) = evaluation.metadata["findings"].records
    assert (record.data["code"], record.data["policy_id"]) == ("empty_range", "metric_instances.samples_complete")
