"""What of that which policies read must not be shown: columns graded above the open grade, and what is made of them.

A policy or a policy view may read any table of the firm, not only the dataset that it judges; what it adds has the
grade of what it reads. Does not belong here: how a value is masked (``data_lake.masks``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.masks import OPEN_GRADE, masked_error
from omgov_assets.data_lake.schemas import TableSchema, UnknownTableError
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.policies import Policy, PolicySet, policy_arguments, policy_text

TABLE_REFERENCE = re.compile(r"\b([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\b")
_QUERY = "unexpected_rows_query"


@dataclass(frozen=True)
class Confidential:
    """What is not shown of a dataset's policies.

    Attributes:
        own: names of the dataset's columns.
        own_graded: those of them above the open grade.
        graded: names of the columns above the open grade, of the dataset and of all tables that are read beside it.
        view_shows: whether the policy view reads such a column: then any column that it adds may be made of it.
        texts: SQL and names that are no data.
    """

    own: frozenset[str]
    own_graded: frozenset[str]
    graded: frozenset[str]
    view_shows: bool
    texts: tuple[str, ...]

    def hides(self, policy: Policy, column: str) -> bool:
        """Whether values of a column of what a policy judged are masked."""
        if column in self.own_graded or (column in self.graded and column not in self.own):
            return True
        # A query gives its columns what names it likes.
        return (self.view_shows and column not in self.own) or _names_any(
            str(policy.kwargs.get(_QUERY, "")), self.graded
        )

    def hides_observed(self, policy: Policy) -> bool:
        """Whether what a policy on the dataset as a whole observed is masked."""
        arguments = policy_arguments(policy)
        free = bool(self.own_graded) and "{batch}" in arguments
        return free or _names_any(arguments, self.graded) or any(self.hides(policy, name) for name in policy.columns)

    def shown_error(self, message: str, policy: Policy | None = None) -> str:
        """An error in one line as it may be shown: in its own words where nothing graded was read."""
        if not self.graded:
            return next(iter(message.splitlines()), "")
        return masked_error(message, *self.texts, policy_text(policy) if policy else "")


def confidential_in(lake: Lake, governance: Governance, policy_set: PolicySet) -> Confidential:
    """What must not be shown of the policies of a dataset."""
    schema = lake.schema(f"{policy_set.system}/{policy_set.dataset}")
    view_texts = (policy_set.view_sql or "", *policy_set.shared_views.values())
    views = " ".join(view_texts)
    others = list(_referenced(lake, governance, policy_set, [views, *map(policy_text, policy_set.policies)]))
    own_graded, others_graded = _graded(schema), frozenset[str]().union(*map(_graded, others))
    names = (name for table in (schema, *others) for name in table.names)
    return Confidential(
        own=frozenset(schema.names),
        own_graded=own_graded,
        graded=own_graded | others_graded,
        view_shows=_names_any(views, own_graded | others_graded)
        or (bool(others_graded) and any(map(_takes_all, view_texts))),
        texts=(policy_set.system, policy_set.dataset, views, *names),
    )


def _names_any(text: str, columns: frozenset[str]) -> bool:
    return not columns.isdisjoint(re.findall(r"\w+", text.casefold()))


def _graded(schema: TableSchema) -> frozenset[str]:
    return frozenset(column.name.casefold() for column in schema.columns if column.grade > OPEN_GRADE)


def _takes_all(view: str) -> bool:
    """Whether a view takes all columns of another table than the dataset; one that cannot be read may do so."""
    try:
        statements = [statement for statement in sqlglot.parse(view, dialect="duckdb") if statement is not None]
    except SqlglotError:
        return True
    return any(_takes_all_of_a_table(select) for one in statements for select in one.find_all(exp.Select))


def _takes_all_of_a_table(select: exp.Select) -> bool:
    joined = [join.this for join in select.args.get("joins") or ()]
    first = select.args.get("from_") or select.args.get("from")
    # What a subquery or a CTE takes is looked at where it is written.
    tables = [one for one in (first.this if first else None, *joined) if isinstance(one, exp.Table) and one.db]
    for column in select.expressions:
        if isinstance(column, exp.Star) or column.find(exp.Columns):
            return bool(tables)
        if column.is_star and any(column.table == table.alias_or_name for table in tables):
            return True
    return False


def _referenced(
    lake: Lake, governance: Governance, policy_set: PolicySet, texts: Iterable[str]
) -> Iterable[TableSchema]:
    """Schemas of the tables that texts refer to as ``<schema>.<table>``."""
    for owner, name in sorted(set(TABLE_REFERENCE.findall(" ".join(texts)))):
        tables = [f"{owner}/{name}"]
        if owner == "own":
            tables = [f"{policy_set.system}/{name}"]
        elif owner == "firm":
            tables = [f"{system.name}/{name}" for system in governance.systems.values() if name in system.datasets]
        elif owner not in governance.systems and owner != "control":
            continue  # an alias and its column
        for table in tables:
            try:
                yield lake.schema(table)
            except UnknownTableError:
                continue  # that it is not there is said by what reads it
