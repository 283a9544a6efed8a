"""The failing rows of policies as SQL: one pass over ``checked`` for all whose rows GX tells by a condition.

Each condition sets a bit, so that a row is read once however many policies it fails. Does not belong here: where the
conditions come from (``great_expectations_run``), what is said of a policy and of a row (``evaluation``,
``free_check``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy.checked_rows import CHECKED
from omgov_assets.quality_policy.great_expectations_run import RowCondition, null_for_nan

# Bits of a BIGINT, without its sign.
_BITS = 62
# Names that no column of a dataset has.
_BROKEN = "_broken_policies"
_DELIVERED = "_delivered_values"
_NUMBER = "_number_of_the_policy"
_SAID = "_said_of_the_policy"


@dataclass(frozen=True)
class FailedPolicy:
    """What is needed to list the failing rows of a policy.

    Attributes:
        condition: what holds for these rows.
        said: what is said of the policy with each of its rows: SQL of constants by column; the same columns for all.
        observed: SQL of what the row shows, over columns of ``checked``.
    """

    condition: RowCondition
    said: Mapping[str, str]
    observed: str


def failing_rows(policies: Sequence[FailedPolicy], of_row: Mapping[str, str], columns: Collection[str]) -> str:
    """A SELECT that gives each failing row once for every policy that it fails.

    Args:
        policies: one or more policies.
        of_row: what is said of a row: SQL by column, over columns of ``checked``.
        columns: columns of ``checked`` that ``of_row`` and the policies' ``observed`` refer to.

    Returns:
        SQL; columns: those of ``said``, those of ``of_row``, ``observed``.
    """
    rows = " UNION ALL ".join(
        _one_pass([policy.condition for policy in policies[first : first + _BITS]], first, columns)
        for first in range(0, len(policies), _BITS)
    )
    facts = ", ".join(
        f"({at}, struct_pack({', '.join(f'{identifier(name)} := {value}' for name, value in policy.said.items())}))"
        for at, policy in enumerate(policies)
    )
    row = "".join(f"{value} AS {identifier(name)}, " for name, value in of_row.items())
    observed = " ".join(f"WHEN {at} THEN {policy.observed}" for at, policy in enumerate(policies))
    return (
        f"SELECT {_SAID}.*, {row}CASE {_NUMBER} {observed} END AS observed FROM ({rows}) "  # noqa: S608 - quoted
        f"JOIN (VALUES {facts}) AS facts({_NUMBER}, {_SAID}) USING ({_NUMBER})"
    )


def _one_pass(conditions: Sequence[RowCondition], first: int, columns: Collection[str]) -> str:
    bits = " | ".join(
        f"CASE WHEN {condition.sql} THEN {1 << bit}::BIGINT ELSE 0 END" for bit, condition in enumerate(conditions)
    )
    numbers = f"unnest([bit + {first} FOR bit IN range({len(conditions)}) IF ({_BROKEN} >> bit) & 1 = 1])"
    # Conditions see null for NaN; what was delivered is kept beside it.
    nan_columns = sorted({name for condition in conditions for name in condition.nan_columns})
    held = {name: identifier(name) for name in columns}
    source = CHECKED
    if nan_columns and held:
        judged = f"* REPLACE ({null_for_nan(nan_columns)})"
        packed = ", ".join(f"{name} := {name}" for name in held.values())
        source = f"(SELECT {judged}, struct_pack({packed}) AS {_DELIVERED} FROM {CHECKED})"  # noqa: S608 - quoted
        held = {name: f"{_DELIVERED}.{value} AS {value}" for name, value in held.items()}
    selected = ", ".join([f"{bits} AS {_BROKEN}", *held.values()])
    return (
        f"SELECT {numbers} AS {_NUMBER}, * EXCLUDE ({_BROKEN}) "  # noqa: S608 - quoted, and GX's own SQL
        f"FROM (SELECT {selected} FROM {source}) WHERE {_BROKEN} <> 0"
    )
