"""Which policies there are: for whom they hold, in which suite they stand, and what their last verdicts were.

Does not belong here: reading suites (``policies``), publishing them as data (``publication``), evaluating them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.documents import read_json
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.policies import Policy, load_policy_set
from omgov_assets.quality_policy.violations import CHECK_RESULTS


@dataclass(frozen=True)
class ListedPolicy:
    """A policy of a dataset, the systems that it holds for, and its suite relative to the project."""

    policy: Policy
    dataset: str
    systems: tuple[str, ...]
    suite: str


def list_policies(governance: Governance, system: str | None = None, dataset: str | None = None) -> list[ListedPolicy]:
    """All policies, or those that hold for a system or a dataset, by dataset in the order of their suites.

    Raises:
        GovernanceError: a suite is malformed.
    """
    found: dict[tuple[str, str, str], tuple[Policy, list[str]]] = {}
    for name, business in sorted(governance.systems.items()):
        for delivered in sorted(business.datasets):
            if system in (None, name) and dataset in (None, delivered):
                policies = load_policy_set(governance.project, name, delivered).policies
                own = Path("expectations", name, f"{delivered}.json")
                own_ids = _ids(governance.project / own)
                for policy in policies:
                    suite = own if policy.policy_id in own_ids else Path("expectations", f"{delivered}.json")
                    found.setdefault((delivered, suite.as_posix(), policy.policy_id), (policy, []))[1].append(name)
    return [
        ListedPolicy(policy, delivered, tuple(systems), suite)
        for (delivered, suite, _), (policy, systems) in sorted(found.items(), key=lambda item: item[0][:2])
    ]


def last_verdicts(lake: Lake, policy_id: str) -> list[dict[str, Any]]:
    """Verdicts of a policy on the last day that holds check results, by system and dataset; empty where none does."""
    days = lake.days(CHECK_RESULTS)
    if not days:
        return []
    day = date.fromisoformat(str(days[-1]))
    with lake.connect() as con:
        lake.register(con, "check_results", CHECK_RESULTS, day)
        rows = con.execute(
            "SELECT system, dataset, verdict, evaluated, failed, reason FROM check_results WHERE policy_id = ? "
            "ORDER BY ALL",
            [policy_id],
        ).fetchall()
    names = ("system", "dataset", "verdict", "evaluated", "failed", "reason")
    return [{"day": day, **dict(zip(names, row, strict=True))} for row in rows]


def _ids(suite: Path) -> set[str]:
    """Policies of a suite that was read before, hence is valid; none where there is no such file."""
    if not suite.is_file():
        return set()
    return {expectation["meta"]["policy_id"] for expectation in read_json(suite)["expectations"]}
