"""What analysis, cases and admission hold, by names of their own: each a dataset of the lake, with its last day first.

Does not belong here: how rows are answered (``rows``), acts on cases (``cases``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastapi import APIRouter, Request, Response

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.data_lake.schemas import platform_tables
from omgov_assets.interface_service.asking import AskingHere
from omgov_assets.interface_service.formats.formats import FORMATS, JSON
from omgov_assets.interface_service.parameters import Parameter
from omgov_assets.interface_service.problems import Problem
from omgov_assets.interface_service.rest.asked import DAY, FORMAT, OF_ROWS, asked_by
from omgov_assets.interface_service.rest.documents import ANY_ROW, documented, page_schema, row_of
from omgov_assets.interface_service.rest.rows import one_row_answer, rows_answer
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASES, WAIVERS
from omgov_assets.quality_analysis.rankings import RANK_COLUMNS, RANKED_DIMENSIONS, RANKINGS
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.scorecards import SCORECARDS
from omgov_assets.quality_analysis.statistics import DIMENSION_SETS, STATISTICS

router = APIRouter(tags=["findings"])


@dataclass(frozen=True)
class Resource:
    """A dataset by a name of its own.

    Attributes:
        path: its address below /v1.
        dataset: the dataset.
        brief: what its rows are, for people.
    """

    path: str
    dataset: str
    brief: str


RESOURCES = (
    Resource("anomalies", ANOMALIES, "Anomalies: one subject with one anomaly type on one day"),
    Resource("cases", CASES, "Cases as they stand after a night"),
    Resource("scorecards", SCORECARDS, "Scores by subject and quality dimension"),
    Resource("root-causes", ROOT_CAUSES, "Root causes: combinations of attributes that explain many anomalies"),
    Resource("admission", LEDGER, "The ledger of admission: one row a batch"),
    Resource("waivers", WAIVERS, "Standing waivers: granted, and ended before their time"),
)

_BY = {",".join(one) or "all": "+".join(one) or "all" for one in DIMENSION_SETS}
_ANY_DAY = replace(DAY, brief=f"{DAY.brief} Default `last`.")
_PARAMETERS = tuple(_ANY_DAY if one is DAY else one for one in OF_ROWS)
TOP = Parameter("top", "How many ranks.", {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 10})
BY = Parameter(
    "by",
    "Dimensions of the cells, joined by commas; `all` for the one cell of everything.",
    {"type": "string", "enum": list(_BY), "default": "all"},
    "anomaly_type,system",
)
ORDER = Parameter("order", "What ranks are by.", {"type": "string", "enum": list(RANK_COLUMNS), "default": "count"})
# What a page's rows are chosen by there; a ranking has no pages.
_OF_RANKING = (_ANY_DAY, TOP, ORDER, *(one for one in OF_ROWS if one.name in ("version", "column", "format")))


def _add(resource: Resource) -> None:
    """Let the router answer for a resource."""
    row = row_of(platform_tables()[resource.dataset])

    def rows(request: Request, asking: AskingHere) -> Response:
        asked = asked_by(request, asking.service.limits.page_rows, _PARAMETERS, "last")
        return rows_answer(asking, request, resource.dataset, asked)

    router.add_api_route(
        f"/v1/{resource.path}",
        rows,
        methods=["GET"],
        name=f"get_{resource.path.replace('-', '_')}",
        summary=resource.brief,
        description=f"Rows of `{resource.dataset}`, as `/v1/datasets/{resource.dataset}/rows` gives them.",
        response_class=Response,
        **documented(page_schema(row), "A page of rows.", _PARAMETERS, FORMATS),
    )


for _resource in RESOURCES:
    _add(_resource)


@router.get(
    "/v1/statistics",
    summary="How many anomalies, on how many of how many instances, by dimensions",
    response_class=Response,
    **documented(page_schema(row_of(platform_tables()[STATISTICS])), "A page of cells.", (BY, *_PARAMETERS), FORMATS),
)
def get_statistics(request: Request, asking: AskingHere) -> Response:
    """Cells of the cube `quality/anomaly_statistics`; what a cell is not about is null in it."""
    asked = asked_by(request, asking.service.limits.page_rows, (BY, *_PARAMETERS), "last")
    (by,) = asked.said.get("by", ["all"])
    if by not in _BY:
        raise Problem(400, "bad_dimensions", f"by: there are {'; '.join(_BY)}.")
    cells = (Condition("dimension_set", "=", _BY[by]),)
    return rows_answer(asking, request, STATISTICS, asked, cells)


@router.get(
    "/v1/rankings/{dimension}",
    summary="What has most anomalies",
    response_class=Response,
    **documented(page_schema(row_of(platform_tables()[RANKINGS])), "The first ranks.", _OF_RANKING, FORMATS),
)
def get_ranking(dimension: str, request: Request, asking: AskingHere) -> Response:
    """The first ranks of a dimension, as `quality/anomaly_rankings` holds them."""
    if dimension not in RANKED_DIMENSIONS:
        raise Problem(404, "not_found", f"There is no such ranking; there are {', '.join(RANKED_DIMENSIONS)}.")
    most = asking.service.limits.page_rows
    asked = asked_by(request, most, _OF_RANKING, "last")
    (top,), (order,) = asked.said.get("top", ["10"]), asked.said.get("order", ["count"])
    if not (top.isascii() and top.isdigit() and len(top) <= 9 and 1 <= int(top) <= most):
        raise Problem(400, "bad_top", f"top: write a number from 1 to {most}.")
    if order not in RANK_COLUMNS:
        raise Problem(400, "bad_order", f"order: there are {', '.join(RANK_COLUMNS)}.")
    column = RANK_COLUMNS[order]
    ranks = (
        Condition("dimension", "=", dimension),
        Condition(column, "is not null"),
        Condition(column, "<=", int(top)),
    )
    return rows_answer(asking, request, RANKINGS, replace(asked, order=((column, False),), limit=int(top)), ranks)


@router.get(
    "/v1/anomalies/{anomaly_id}",
    summary="An anomaly",
    response_class=Response,
    **documented(row_of(platform_tables()[ANOMALIES]), "The anomaly.", (_ANY_DAY, FORMAT), (JSON,)),
)
def get_anomaly(anomaly_id: str, request: Request, asking: AskingHere) -> Response:
    """An anomaly on a day on which it is there for you."""
    asked = asked_by(request, 1, (_ANY_DAY, FORMAT), "last", (JSON,))
    return one_row_answer(asking, request, ANOMALIES, asked, Condition("anomaly_id", "=", anomaly_id))


@router.get(
    "/v1/control/{table}",
    summary="Control information as it was published on a day",
    response_class=Response,
    **documented(page_schema(ANY_ROW), "A page of rows.", _PARAMETERS, FORMATS),
)
def get_control(table: str, request: Request, asking: AskingHere) -> Response:
    """Rows of `control/<table>`: standard_metrics, metric_mappings, data_contracts, quality_policies and the like."""
    asked = asked_by(request, asking.service.limits.page_rows, _PARAMETERS, "last")
    return rows_answer(asking, request, f"control/{table}", asked)
