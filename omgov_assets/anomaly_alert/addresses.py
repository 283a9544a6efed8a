"""Mail addresses of owners and support groups, by the CMDB of the last day: read when a message is sent, kept nowhere.

Does not belong here: who is told (``routing``).
"""

from __future__ import annotations

from omgov_assets.anomaly_alert.transports import AddressOf
from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.cmdb import register_cmdb

_ADDRESSES = """
SELECT 'owner' AS kind, owner_id AS key, any_value(email ORDER BY _batch_id, _record_no) AS email
FROM owners WHERE email IS NOT NULL AND coalesce(active, true) GROUP BY ALL
UNION ALL
SELECT 'support_group' AS kind, support_group_id AS key, any_value(email ORDER BY _batch_id, _record_no) AS email
FROM support_groups WHERE email IS NOT NULL GROUP BY ALL
"""


def addresses_in_cmdb(lake: Lake) -> AddressOf:
    """A function from kind and key to the address, or None; the CMDB is read at its first call."""
    known: dict[tuple[str, str], str] | None = None

    def address_of(kind: str, key: str) -> str | None:
        nonlocal known
        if known is None:
            days = lake.days("cmdb/owners") or lake.days("cmdb/support_groups")
            known = {}
            if days:
                with lake.connect() as con:
                    register_cmdb(lake, con, days[-1])
                    known = {(of_kind, of_key): email for of_kind, of_key, email in con.execute(_ADDRESSES).fetchall()}
        return known.get((kind, key))

    return address_of
