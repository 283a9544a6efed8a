"""`docs/attacks.md` names only tests that exist, and no attack without one."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@cache
def names_of_tests(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def rows(project_root: Path) -> list[list[str]]:
    """The cells of the tables' rows, without their heads."""
    text = (project_root / "docs" / "attacks.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ]
    return [row for row in cells if row[0] != "attack"]


def test_every_test_that_the_table_of_attacks_names_exists(project_root: Path) -> None:
    named = {one for row in rows(project_root) for one in TEST.findall(row[-1])}
    assert len(named) > 50
    gone = sorted(
        f"{file}::{name}" for file, name in named if name not in names_of_tests(project_root / "tests" / file)
    )
    assert not gone, "\n".join(gone)


def test_every_attack_has_a_defence_and_a_test(project_root: Path) -> None:
    for attack, defence, tried in rows(project_root):
        assert len(defence.split()) > 2, attack
        assert TEST.search(tried), attack
        assert not TEST.sub("", tried).strip(", "), f"{attack}: {tried}"
