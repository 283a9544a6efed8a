"""The house's rules hold: who may import what, how large a module may be, and that each says what it is for.

import-linter checks the floors in `make lint`; these tests check what it does not: that an import is made
late, that a module is small and documented, that the command line starts fast, that the setting files agree.
"""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.config import PoolGranularity

PACKAGE = "omgov_assets"
MAX_LINES = 450

# What only some rooms may import. A room is the first name under the package.
RESERVED_IMPORTS = {
    "deltalake": {"data_lake"},
    "great_expectations": {"quality_policy"},
    "dagster": {"components", "defs", "definitions", "cli"},
    "dagster_duckdb": {"components", "defs", "definitions", "cli"},
    "dagster_shared": {"components", "defs", "definitions", "cli"},
    f"{PACKAGE}.sample_firm": {"sample_firm", "cli"},
}
FORBIDDEN_CALLS = {"eval", "exec"}
FORBIDDEN_IMPORTS = {"pickle", "dill", "marshal", "shelve"}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}
FORBIDDEN_MODULE_NAMES = {"utils", "util", "helpers", "misc", "common"}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted name, the line, and whether loading the file runs the import."""

    name: str
    line: int
    at_load: bool


@dataclass(frozen=True)
class Module:
    """One Python file of the package, parsed."""

    path: Path
    room: str
    dotted_name: str
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return self.dotted_name


def read_modules() -> list[Module]:
    root = Path(__file__).resolve().parent.parent
    modules = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names = parts[:-1] if parts[-1] == "__init__" else parts
        text = path.read_text(encoding="utf-8")
        room = names[1] if len(names) > 1 else ""
        modules.append(Module(path, room, ".".join(names), text, ast.parse(text, filename=str(path))))
    return modules


def imports_of(module: Module) -> Iterator[Import]:
    yield from _imports_under(module.tree, module, at_load=True)


def _imports_under(node: ast.AST, module: Module, *, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_load)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(module, child)
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, at_load)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports_under(child, module, at_load=False)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for branch in child.body:
                yield from _imports_under(ast.Module([branch], []), module, at_load=False)
            for branch in child.orelse:
                yield from _imports_under(ast.Module([branch], []), module, at_load=at_load)
        else:
            yield from _imports_under(child, module, at_load=at_load)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    is_package = module.path.name == "__init__.py"
    names = module.dotted_name.split(".")
    kept = names[: len(names) - node.level + is_package]
    return ".".join([*kept, *([node.module] if node.module else [])])


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


MODULES = read_modules()
each_module = pytest.mark.parametrize("module", MODULES, ids=str)


@each_module
def test_a_module_says_what_belongs_in_it(module: Module) -> None:
    docstring = ast.get_docstring(module.tree)
    assert docstring, f"{module.path}: no module docstring"
    assert len(docstring.split()) >= 3, f"{module.path}: the docstring says too little: {docstring!r}"


@each_module
def test_a_module_is_small(module: Module) -> None:
    lines = len(module.text.splitlines())
    assert lines <= MAX_LINES, f"{module.path}: {lines} lines, at most {MAX_LINES}; split it by what it holds"


@each_module
def test_a_module_bears_a_name_that_says_something(module: Module) -> None:
    assert not FORBIDDEN_MODULE_NAMES & set(module.dotted_name.split("."))


@each_module
def test_reserved_packages_are_imported_by_their_room_only(module: Module) -> None:
    strangers = [
        f"{module.path}:{imported.line}: {imported.name} belongs to {', '.join(sorted(rooms))}"
        for imported in imports_of(module)
        for package, rooms in RESERVED_IMPORTS.items()
        if is_within(imported.name, package) and module.room not in rooms
    ]
    assert not strangers, "\n".join(strangers)


# Modules that are about Great Expectations alone, so that importing one takes the seconds that its import takes.
LOADING_GREAT_EXPECTATIONS = {
    module.dotted_name
    for module in MODULES
    if any(imported.at_load and is_within(imported.name, "great_expectations") for imported in imports_of(module))
}


@each_module
def test_great_expectations_is_imported_only_by_the_function_that_needs_it(module: Module) -> None:
    early = [
        f"{module.path}:{imported.line}: {imported.name}"
        for imported in imports_of(module)
        if imported.at_load
        and module.dotted_name not in LOADING_GREAT_EXPECTATIONS
        and any(is_within(imported.name, name) for name in LOADING_GREAT_EXPECTATIONS)
    ]
    assert not early, f"the import costs seconds; make it inside the function: {early}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.room == "sample_firm"], ids=str)
def test_the_sample_firm_imports_nothing_of_the_pipeline(module: Module) -> None:
    own = f"{PACKAGE}.sample_firm"
    strangers = [
        f"{module.path}:{imported.line}: {imported.name}"
        for imported in imports_of(module)
        if is_within(imported.name, PACKAGE) and not is_within(imported.name, own)
    ]
    assert not strangers, "\n".join(strangers)


@each_module
def test_nothing_is_unpickled_or_evaluated(module: Module) -> None:
    found = [
        f"{module.path}:{imported.line}: import {imported.name}"
        for imported in imports_of(module)
        if imported.name.split(".")[0] in FORBIDDEN_IMPORTS
    ]
    safe_loaders = SAFE_LOADERS | {
        node.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} & SAFE_LOADERS
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"{module.path}:{node.lineno}: {node.func.id}()")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"yaml.load", "yaml.unsafe_load"}:
            loader = next((ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"), "")
            if loader not in safe_loaders:
                found.append(f"{module.path}:{node.lineno}: {ast.unparse(node.func)}() without a safe loader")
    assert not found, "\n".join(found)


@each_module
def test_no_exception_is_swallowed(module: Module) -> None:
    swallowed = [
        f"{module.path}:{node.lineno}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(statement, ast.Pass | ast.Continue | ast.Constant) for statement in node.body)
    ]
    assert not swallowed, f"an exception is dropped without a word: {swallowed}"


@each_module
def test_nothing_is_left_to_do(module: Module) -> None:
    left = re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b.*", module.text)
    assert not left, f"{module.path}: {left}"


@pytest.mark.parametrize("package", ["great_expectations", "pandas"])
def test_the_command_line_starts_without(package: str, project_root: Path) -> None:
    if not (project_root / PACKAGE / "cli.py").exists() and not (project_root / PACKAGE / "cli").exists():
        pytest.fail(f"{PACKAGE}.cli does not exist: pyproject.toml names it as the omgov command")
    code = f"import sys, {PACKAGE}.cli; sys.exit('loaded' if {package!r} in sys.modules else 0)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"importing {PACKAGE}.cli loads {package}: {done.stderr}"


@pytest.fixture
def instance(project_root: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").symlink_to(project_root / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def test_the_dagster_instance_queues_runs_and_reports_nothing(instance: dg.DagsterInstance) -> None:
    pools = instance.get_concurrency_config().pool_config
    assert not instance.telemetry_enabled
    assert instance.run_monitoring_enabled
    assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
    assert (pools.pool_granularity, pools.default_pool_limit) == (PoolGranularity.RUN, 1)


def test_a_run_in_process_counts_against_its_pool(instance: dg.DagsterInstance) -> None:
    """Pins what keeps the queue off a night started by `omgov run`: every run is stored with its pools."""

    @dg.asset(pool="lake_write")
    def written() -> None: ...

    job = dg.Definitions(assets=[written], jobs=[dg.define_asset_job("night")]).resolve_job_def("night")
    run = instance.get_run_by_id(job.execute_in_process(instance=instance).run_id)
    assert run is not None
    assert run.run_op_concurrency is not None
    assert run.run_op_concurrency.all_pools == {"lake_write"}


def test_constraints_pin_every_dependency_by_name_and_version_only(project_root: Path) -> None:
    lines = (project_root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)]
    assert not odd

    pinned = {_normalised(line.partition("==")[0]) for line in lines}
    project = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {_normalised(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in wanted}
    assert names <= pinned, f"not pinned: {sorted(names - pinned)}"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
