"""Whether each row of a conform model's output is of exactly one source record.

What a record looks up elsewhere, in a query of its own or a table with one row for each key, changes nothing about it;
what several records come together to does. Does not belong here: how many rows a join gives (``join_keys``).
"""

from __future__ import annotations

from omgov_assets.model_management.model_check.facts import Instance, Relation
from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.inputs import BATCH_ID, RECORD_NO, SOURCE
from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_check.study import Study

_REMEDY = "give one row for each record; what aggregates or unnests is a derive model"


def row_faults(study: Study, relation: Relation) -> list[Fault]:
    """Where the rows of the output stop being those of source, one fault for each SELECT.

    A query elsewhere may look up what it likes but what many records come together to.
    """
    facts = relation.columns.get(RECORD_NO)
    origin = facts.origin if facts is not None else None
    path: Instance = origin.instance if origin is not None else ()
    faults: dict[int, Fault] = {}
    for number, made in enumerate(study.selects):
        if made.of_records:
            place, words = min(made.of_records)
            problem = f"{words} makes one value of several records"
            faults[number] = Fault("not_record_wise", place, problem, _REMEDY)
    pending = [(number, path) for number in relation.selects]
    while pending:
        number, path = pending.pop()
        made = study.selects[number]
        spine = path[0] if path and path[0] in made.sources else next(iter(made.sources), None)
        reasons = [*made.many, *made.multiplied_by.get(spine if spine is not None else -1, [])]
        if reasons and number not in faults:
            place, words = min(reasons)
            problem = f"{words} can give more than one row for a record, or one row for several"
            faults[number] = Fault("not_record_wise", place, problem, _REMEDY)
        if spine is not None:
            pending += [(inner, path[1:]) for inner in made.sources[spine]]
    return list(faults.values())


def record_faults(study: Study, relation: Relation) -> list[Fault]:
    """Whether batch and number of the record are handed on as they are."""
    faults = []
    for branch in relation.branches:
        instances = {}
        for name, facts, node in branch.columns:
            key = name.lower()
            if key not in (BATCH_ID, RECORD_NO) or facts.is_unknown:
                continue
            place = study.text.place_of(node)
            origin = facts.origin
            if origin is None or (origin.table, origin.column) != (SOURCE, key):
                faults.append(_not_handed_on(place, f"{key} is not {key} of source"))
            elif facts.null is not None:
                faults.append(_not_handed_on(place, f"{key} can be null: {facts.null}"))
            else:
                instances[key] = (origin.instance, place)
        if len({instance for instance, _ in instances.values()}) > 1:
            place = instances[RECORD_NO][1]
            faults.append(_not_handed_on(place, f"{BATCH_ID} and {RECORD_NO} are of two different records"))
    return faults


def _not_handed_on(place: Place, problem: str) -> Fault:
    return Fault("record_not_handed_on", place, problem, f"hand on {BATCH_ID} and {RECORD_NO} of source unchanged")
