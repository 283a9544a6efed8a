"""Principals as they are named on the command line: a name that nobody has ends the command.

Does not belong here: what a principal may do (``access``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omgov_assets.cli.output import fail
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.model_management.access_rules import AccessRules


def require_named(home: Path | None, project: Path | None, principal: str) -> None:
    """End the command where the access rules do not name a principal: it has no tokens of this home."""
    rules = _rules(home, project)
    if principal in rules.principal_of:
        return
    if _is_of_a_provider(rules, principal):
        fail(f"{principal}: its tokens are its identity provider's; this home makes them for principals by name")
    fail(f"{principal}: no such principal; {_others(rules, principal)}")


def require_known(home: Path | None, project: Path | None, principal: str) -> None:
    """End the command where a principal is neither named by the access rules nor an identity provider's."""
    rules = _rules(home, project)
    if principal not in rules.principal_of and not _is_of_a_provider(rules, principal):
        fail(f"{principal}: no such principal; {_others(rules, principal)}")


def _is_of_a_provider(rules: AccessRules, principal: str) -> bool:
    return any(principal.startswith(provider.principal_name("")) for provider in rules.oidc)


def _others(rules: AccessRules, principal: str) -> str:
    import difflib

    if near := difflib.get_close_matches(principal, sorted(rules.principal_of), n=3):
        return f"did you mean {', '.join(near)}?"
    return f"the access rules name {', '.join(sorted(rules.principal_of)) or 'none'}"


def _rules(home: Path | None, project: Path | None) -> AccessRules:
    from omgov_assets.model_management.governance import load_governance

    return load_governance(Settings.from_environment(home, project).project).access
