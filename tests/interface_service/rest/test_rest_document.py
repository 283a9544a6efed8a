"""The OpenAPI document is true: what it allows is answered as it says, what it does not is refused, never a 5xx."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from served import Served, token_of

# More of them find more: OMGOV_REST_EXAMPLES=200 takes some minutes.
EXAMPLES = int(os.environ.get("OMGOV_REST_EXAMPLES", "5"))

MEANT_BY_THEMSELVES = ("day", "limit", "format", "top", "by", "order", "first", "last")


def what_there_is(service: Served, proof: dict[str, str]) -> dict[str, str]:
    """Names for parts of addresses that lead somewhere."""

    def first(path: str, name: str) -> str:
        found: str = httpx.get(f"{service.url}/v1/{path}?limit=1", headers=proof).json()["rows"][0][name]
        return found

    return {
        "folder": "quality",
        "table": "anomalies",
        "dimension": "site",
        "anomaly_id": first("anomalies", "anomaly_id"),
        "case_id": first("cases", "case_id"),
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_the_document_says(service: Served, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/v1/openapi.json").include(path_regex="^/v1/(?!ingest)")
    proof = {"Authorization": f"Bearer {token_of(service.settings, 'steward')}"}
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    there = what_there_is(service, proof)
    told: Counter[int] = Counter()

    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def answers(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                case.path_parameters = {name: there.get(name, value) for name, value in case.path_parameters.items()}
                if case.operation.path.startswith("/v1/control"):
                    case.path_parameters["table"] = "standard_metrics"
                if told.total() % 2:
                    # No column is called what is drawn.
                    case.query = {name: value for name, value in case.query.items() if name in MEANT_BY_THEMSELVES}
            answer = case.call(headers=proof, timeout=60)
            told[answer.status_code] += 1
            # That a dataset has such columns, the document cannot say.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance])

        answers()
    assert told.total() > len(operations)
    assert (told[200] > len(operations)) == (mode is GenerationMode.POSITIVE)


def test_it_needs_no_proof_and_is_the_same_every_time(service: Served) -> None:
    first, second = (httpx.get(f"{service.url}/v1/openapi.json") for _ in range(2))
    assert first.status_code == 200
    assert first.content == second.content
    assert "/v1/datasets/{folder}/{table}/rows" in first.json()["paths"]


def test_whatever_it_refers_to_is_in_it(service: Served) -> None:
    document = httpx.get(f"{service.url}/v1/openapi.json").json()
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert referred == set(document["components"]["schemas"])
    assert "HTTPValidationError" not in referred, "what cannot be read is told as a problem, whatever FastAPI would say"
