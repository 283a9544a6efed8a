"""The routes of Delta Sharing, put together.

Does not belong here: what they answer (``offered``, ``tables``, ``files``).
"""

from __future__ import annotations

from fastapi import APIRouter

from omgov_assets.interface_service.sharing import files, offered, tables
from omgov_assets.interface_service.sharing.errors import DOCUMENTED

router = APIRouter(tags=["sharing"], responses=DOCUMENTED)
for part in (offered.router, tables.router, files.router):
    router.include_router(part)
