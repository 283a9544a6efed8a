"""Asking Cedar: which questions of a principal and a dataset are answered with Allow, and by which policies.

Owns one rule: whatever is not a plain Allow is a denial, and an error anywhere is an error of the whole, since Cedar
skips a ``forbid`` that errs. Does not belong here: what follows from the answers (``decision``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from omgov_assets.access_control.principals import Principal
from omgov_assets.model_management.access_policies import (
    AccessPolicies,
    dataset_entities,
    principal_entity,
    request,
)

if TYPE_CHECKING:
    import cedarpy


class PolicyError(Exception):
    """Cedar could not answer; nothing is permitted."""


@dataclass(frozen=True)
class Answer:
    """Whether something is permitted, and the names of the policies that made it so or otherwise."""

    allowed: bool
    policies: tuple[str, ...]


class PolicyQuestions:
    """The access policies, parsed once, and the datasets that they were asked of."""

    def __init__(self, policies: AccessPolicies) -> None:
        import cedarpy

        self._policies = cedarpy.PolicySet.from_str(policies.text)
        self._schema = cedarpy.Schema.from_str(policies.schema) if policies.schema else None
        self._datasets: dict[str, cedarpy.Entities] = {}

    def add_dataset(self, dataset: str, grades: Mapping[str, int]) -> None:
        """Let policies know a dataset and its columns' grades. Raises ``ValueError`` where the schema does not."""
        import cedarpy

        entities = json.dumps(dataset_entities(dataset, grades))
        self._datasets[dataset] = cedarpy.Entities.from_json_str(entities, self._schema)

    def of(self, principal: Principal, dataset: str) -> Asking:
        """The questions of one principal about one dataset.

        Raises:
            PolicyError: the principal is not as the schema says.
        """
        who = principal_entity(
            principal.name, principal.roles, principal.clearance, principal.systems, principal.support_groups
        )
        entities = None
        if self._schema is not None:
            try:
                # By the schema as well: a forbid that asks for a grant of another type would not find it.
                entities = self._datasets[dataset].with_added_json_str(json.dumps([who]), self._schema)
            except (ValueError, KeyError) as error:
                raise PolicyError(f"the policies cannot be asked: {error}") from error
        return Asking(self._policies, self._schema, entities, principal, dataset)


@dataclass(frozen=True)
class Asking:
    """Policies, and what they need to know of one principal and one dataset; no entities in a firm without policies."""

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema | None
    entities: cedarpy.Entities | None
    principal: Principal
    dataset: str

    def ask(self, action: str, columns: Sequence[str] | None = None) -> list[Answer]:
        """Answers to an action on columns in their order, or on the dataset where None are given.

        Raises:
            PolicyError: an answer came with an error, or none came.
        """
        import cedarpy

        who, purpose = self.principal.name, self.principal.purpose
        if columns is None:
            requests = [request(who, action, "Dataset", self.dataset, purpose)]
        else:
            requests = [request(who, action, "Column", f"{self.dataset}.{name}", purpose) for name in columns]
        if self.entities is None:
            return [Answer(False, ())] * len(requests)
        if not requests:
            return []
        try:
            results = cedarpy.is_authorized_batch(requests, self.policies, self.entities, self.schema)
        except ValueError as error:
            raise PolicyError(f"the policies cannot be asked: {error}") from error
        if len(results) != len(requests):
            raise PolicyError(f"{len(results)} answers came to {len(requests)} questions")
        return [_answer(result) for result in results]


def _answer(result: cedarpy.AuthzResult) -> Answer:
    import cedarpy

    if result.diagnostics.errors or result.decision not in (cedarpy.Decision.Allow, cedarpy.Decision.Deny):
        raise PolicyError(f"a policy could not be evaluated: {'; '.join(result.diagnostics.errors) or 'no decision'}")
    names = result.diagnostics.id_annotations_by_reason
    policies = tuple(sorted(names.get(policy, policy) for policy in result.diagnostics.reasons))
    return Answer(result.decision is cedarpy.Decision.Allow, policies)
