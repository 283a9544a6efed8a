"""REST v1, put together."""

from __future__ import annotations

from fastapi import APIRouter

from omgov_assets.interface_service.rest import cases, catalogue, resources

router = APIRouter()
# An act before what is read: both have addresses below a case.
for _part in (catalogue.router, cases.router, resources.router):
    router.include_router(_part)
