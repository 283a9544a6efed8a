"""Routes that list what is offered: shares, schemas, tables.

Does not belong here: what is offered to whom (``offers``), pages of a list (``listing``), what is in a table
(``tables``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from omgov_assets.interface_service.sharing.errors import SharingRoute
from omgov_assets.interface_service.sharing.listing import MaxResults, PageToken, listed
from omgov_assets.interface_service.sharing.offers import OffersHere
from omgov_assets.interface_service.sharing.shares import Share, SharedTable

router = APIRouter(route_class=SharingRoute)


@router.get("/sharing/shares", operation_id="list_shares", summary="Shares that are offered to you")
def list_shares(offers: OffersHere, max_results: MaxResults = None, page_token: PageToken = None) -> JSONResponse:
    """By name, in pages."""
    return listed(offers.shares(), lambda share: (share.name.lower(),), _share, max_results, page_token)


@router.get("/sharing/shares/{share}", operation_id="get_share", summary="A share")
def get_share(offers: OffersHere, share: str) -> JSONResponse:
    """Its name and identifier."""
    return JSONResponse({"share": _share(offers.share(share))}, media_type="application/json; charset=utf-8")


@router.get("/sharing/shares/{share}/schemas", operation_id="list_schemas", summary="Schemas of a share")
def list_schemas(
    offers: OffersHere, share: str, max_results: MaxResults = None, page_token: PageToken = None
) -> JSONResponse:
    """Those with a table that you may read, by name, in pages."""
    found = offers.share(share)
    schemas = list(dict.fromkeys(table.schema for table in offers.tables(found)))
    return listed(
        schemas,
        lambda schema: (schema.lower(),),
        lambda schema: {"name": schema, "share": found.name},
        max_results,
        page_token,
    )


@router.get("/sharing/shares/{share}/schemas/{schema}/tables", operation_id="list_tables", summary="Tables of a schema")
def list_tables(
    offers: OffersHere, share: str, schema: str, max_results: MaxResults = None, page_token: PageToken = None
) -> JSONResponse:
    """Those that you may read, by name, in pages."""
    found = offers.share(share)
    return _tables(found, offers.tables_of(found, schema), max_results, page_token)


@router.get("/sharing/shares/{share}/all-tables", operation_id="list_all_tables", summary="Tables of a share")
def list_all_tables(
    offers: OffersHere, share: str, max_results: MaxResults = None, page_token: PageToken = None
) -> JSONResponse:
    """Those that you may read, by schema and name, in pages."""
    found = offers.share(share)
    return _tables(found, offers.tables(found), max_results, page_token)


def _share(share: Share) -> dict[str, Any]:
    return {"name": share.name, "id": share.id}


def _tables(
    share: Share, tables: Sequence[SharedTable], max_results: int | None, page_token: str | None
) -> JSONResponse:
    def content(table: SharedTable) -> dict[str, Any]:
        return {"name": table.name, "schema": table.schema, "share": share.name, "shareId": share.id, "id": table.id}

    return listed(tables, lambda table: (table.schema.lower(), table.name.lower()), content, max_results, page_token)
