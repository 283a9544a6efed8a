"""The commands of ``omgov`` as a tree, for tests that look at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from omgov_assets.cli import app


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, such as ``access token create``."""
    yield from _below(typer.main.get_command(app), "")


def _below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name.strip(), command
        return
    for word, one in command.commands.items():
        yield from _below(one, f"{name} {word}")
