"""Names for people of the keys that a page shows, out of what its reader sees.

Does not belong here: names that the CMDB does not hold (``governance/wording.yaml``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from omgov_assets.interface_service.pages.seen import Seen
from omgov_assets.quality_analysis.cmdb import SYSTEM as CMDB
from omgov_assets.quality_analysis.rankings import RANKINGS

GROUPS, ITEMS, OWNERS = f"{CMDB}/support_groups", f"{CMDB}/configuration_items", f"{CMDB}/owners"


def create_labels(seen: Seen, day: date) -> None:
    """Create the temporary table ``labels`` (kind, key, label), one row for each kind and key that has a name; and the
    view ``rankings`` of the day, which is empty where it is not the reader's.

    Who may see the rankings finds in them the names of whatever has anomalies; others find those that the CMDB shows
    them. Owners' names are never in the rankings: they are as the CMDB shows them, masked for most.
    """
    if not seen.whole("rankings", RANKINGS, day):
        seen.whole("configuration_items", ITEMS, day)
    else:
        seen.empty("configuration_items", ITEMS)
    seen.whole("support_groups", GROUPS, day)
    seen.whole("owners", OWNERS, day)
    seen.con.execute(f"CREATE OR REPLACE TEMP TABLE labels AS {seen.statement('labels')}")


def labels_of(seen: Seen, keys: Iterable[str | None]) -> dict[tuple[str, str], str]:
    """Names of keys, by kind and key; ``create_labels`` was called before."""
    rows = seen.ask("labels_of", {"keys": sorted({key for key in keys if key})})
    return {(row["kind"], row["key"]): row["label"] for row in rows}
