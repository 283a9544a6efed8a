"""What a night does with the audit: moves entries into the lake, goes along the chain, anchors its head.

Belongs here: the order of these steps, and what becomes of each where another is not possible. Does not belong here:
the steps themselves (``audit_lake``, ``audit_verify``, ``audit_anchor``), or when a night is (``defs``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from omgov_assets.access_control.audit_anchor import (
    AnchorKeyError,
    Anchors,
    anchor_key,
    read_anchors,
    write_anchor,
)
from omgov_assets.access_control.audit_chain import Finding
from omgov_assets.access_control.audit_lake import AUDIT, open_log, store_entries
from omgov_assets.access_control.audit_log import AuditUnavailableError, head_path, log_path
from omgov_assets.access_control.audit_verify import Verification, verify
from omgov_assets.data_lake.lake import Lake

# Names the file that heads of the chain are kept in, on another machine or a medium that cannot be written twice.
ANCHORS_VARIABLE = "OMGOV_AUDIT_ANCHORS"


@dataclass(frozen=True)
class AuditNight:
    """What came of a night's work on the audit.

    Attributes:
        moved: entries moved into the lake.
        verification: what is wrong, the moving and the anchors included.
        anchored: what became of the anchor, as a sentence.
    """

    moved: int
    verification: Verification
    anchored: str


def is_kept(lake: Lake, folder: Path) -> bool:
    """Whether a home has an audit: a decision was recorded, or something is left of it."""
    return log_path(folder).exists() or head_path(folder).exists() or lake.version(AUDIT) is not None


def work_on_audit(lake: Lake, folder: Path, environment: Mapping[str, str], now: datetime) -> AuditNight:
    """Move, verify, anchor. What is wrong with the audit is a finding and raises nothing: a night goes on.

    Nothing is made in a home without any audit.

    Args:
        lake: the home's lake.
        folder: ``OMGOV_HOME/audit``.
        environment: may name a file for anchors (``OMGOV_AUDIT_ANCHORS``) and hold their key (``OMGOV_AUDIT_KEY``).
        now: the time (aware), which an anchor carries.
    """
    moved, objections = 0, []
    if is_kept(lake, folder):
        try:
            with open_log(lake, folder) as log:
                moved = store_entries(lake, log)
        except AuditUnavailableError as error:
            objections.append(Finding("log", None, "unreadable", f"entries were not moved into the lake: {error}"))
    verification = verify_anchored(lake, folder, environment)
    verification = replace(verification, findings=(*objections, *verification.findings))
    anchored, refusal = _anchor(verification, environment, now)
    if refusal is not None:
        verification = replace(verification, findings=(*verification.findings, refusal))
    return AuditNight(moved, verification, anchored)


def verify_anchored(lake: Lake, folder: Path, environment: Mapping[str, str]) -> Verification:
    """Go along the chain, with the anchors where the environment names their file and holds their key."""
    read = _anchors(environment)
    known = read.known if read else {}
    is_there = bool(known) or is_kept(lake, folder)
    found = verify(lake, folder, known) if is_there else Verification(0, 0, 0, "", ())
    return replace(found, findings=(*(read.findings if read else ()), *found.findings))


def _anchors(environment: Mapping[str, str]) -> Anchors | None:
    """Anchors that were made before; None where there are none to compare with."""
    named = environment.get(ANCHORS_VARIABLE)
    if not named:
        return None
    try:
        return read_anchors(Path(named), anchor_key(environment)) if Path(named).exists() else None
    except (OSError, AnchorKeyError) as error:
        finding = Finding("anchor", None, "unreadable", f"anchors in {named} cannot be compared with: {error}")
        return Anchors({}, (finding,))


def _anchor(verification: Verification, environment: Mapping[str, str], now: datetime) -> tuple[str, Finding | None]:
    """What became of the anchor, and what is wrong where it could not be written."""
    named = environment.get(ANCHORS_VARIABLE)
    if not named:
        return f"not anchored: {ANCHORS_VARIABLE} names no file", None
    try:
        key = anchor_key(environment)
    except AnchorKeyError as error:
        return f"not anchored: {error}", None
    if verification.findings:
        return "not anchored: the chain is not whole", None
    if verification.seq == 0:
        return "not anchored: no decision was ever recorded", None
    try:
        write_anchor(Path(named), verification.seq, verification.hash, now, key)
    except OSError as error:
        said = f"{named} cannot be written: {error}"
        return f"not anchored: {said}", Finding("anchor", verification.seq, "unreadable", said)
    return f"entry {verification.seq} is anchored in {named}", None
