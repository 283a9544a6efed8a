"""What git knows of the files of control information: authors, commits, and what no commit holds."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omgov_assets.model_management import provenance
from omgov_assets.model_management.provenance import UNCOMMITTED, Provenance, control_files, provenance_of

ZHANG = "张伟 <zhang@example.com>"
LI = "Li Na <li@example.com>"
STANDARD = "governance/standard/metric_definitions/host.yaml"
MAPPINGS = "governance/systems/branch/metric_mappings.yaml"
SUITE = "expectations/metric_instances.json"


class Repository:
    """A git repository with a project at its top or in a folder of it."""

    def __init__(self, top: Path, project: str = "") -> None:
        self.top = top
        self.project = top / project
        self.project.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        for path in (STANDARD, MAPPINGS, SUITE):
            self.write(path, "first\n")

    def git(self, *arguments: str, expected: int = 0) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        names = ("-c", "user.name=Committer", "-c", "user.email=committer@example.com")
        done = subprocess.run(
            ["git", "-C", str(self.top), *names, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.project / path).parent.mkdir(parents=True, exist_ok=True)
        (self.project / path).write_text(text, encoding="utf-8")

    def commit(self, author: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "change", "--author", author)
        return self.git("rev-parse", "--short", "HEAD")

    @property
    def known(self) -> dict[str, Provenance]:
        return provenance_of(self.project)


@pytest.fixture(params=["", "teams/o m 治理"], ids=["project at the top", "project in a folder"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Repository:
    return Repository(tmp_path / "repository", request.param)


def test_each_file_has_the_author_and_commit_that_changed_it_last(repository: Repository) -> None:
    first = repository.commit(ZHANG)
    repository.write(MAPPINGS, "second\n")
    second = repository.commit(LI)
    known = repository.known
    assert {path: (entry.author, entry.commit) for path, entry in known.items()} == {
        SUITE: (ZHANG, first),
        STANDARD: (ZHANG, first),
        MAPPINGS: (LI, second),
    }
    stamp = int(repository.git("log", "-1", "--format=%ct"))
    assert known[MAPPINGS].committed_at == datetime.fromtimestamp(stamp, UTC)


def test_what_was_changed_since_is_uncommitted_whether_staged_or_not(repository: Repository) -> None:
    repository.commit(ZHANG)
    repository.write(STANDARD, "changed\n")
    repository.write(SUITE, "staged\n")
    repository.git("add", "--all")
    repository.write(STANDARD, "changed again\n")
    repository.write("governance/firm.yaml", "new\n")
    known = repository.known
    assert known[MAPPINGS].author == ZHANG
    nobody = Provenance(UNCOMMITTED, None, None)
    assert [known[path] for path in (STANDARD, SUITE, "governance/firm.yaml")] == [nobody] * 3


def test_a_renamed_file_is_uncommitted_until_the_rename_is_committed(repository: Repository) -> None:
    repository.commit(ZHANG)
    moved = "governance/systems/branch/moved 映射.yaml"
    (repository.project / MAPPINGS).rename(repository.project / moved)
    repository.git("add", "--all")
    assert repository.known[moved].author == UNCOMMITTED
    repository.commit(LI)
    assert repository.known[moved].author == LI
    assert MAPPINGS not in repository.known


def test_a_merge_counts_for_the_files_that_it_changed_itself(repository: Repository) -> None:
    repository.commit(ZHANG)
    repository.git("checkout", "--quiet", "-b", "side")
    repository.write(MAPPINGS, "side\n")
    repository.write(SUITE, "side\n")
    side = repository.commit(LI)
    repository.git("checkout", "--quiet", "main")
    repository.write(MAPPINGS, "main\n")
    repository.commit(ZHANG)
    repository.git("merge", "side", expected=1)
    repository.write(MAPPINGS, "both\n")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "merge")
    known = repository.known
    assert known[MAPPINGS].author == "Committer <committer@example.com>"
    assert (known[SUITE].author, known[SUITE].commit) == (LI, side)


def test_ignored_files_are_not_known_and_hidden_ones_are_no_control_information(repository: Repository) -> None:
    repository.write("governance/.gitignore", "local/\n*.bak\n")
    repository.commit(ZHANG)
    repository.write("governance/local/a.yaml", "a\n")
    repository.write("governance/standard/b.bak", "b\n")
    repository.write("governance/.cache/c.yaml", "c\n")
    assert sorted(repository.known) == sorted([SUITE, STANDARD, MAPPINGS])
    assert control_files(repository.project) == [
        SUITE, "governance/local/a.yaml", "governance/standard/b.bak", STANDARD, MAPPINGS,
    ]  # fmt: skip


def test_a_repository_without_a_commit_has_only_uncommitted_files(repository: Repository) -> None:
    assert {entry.author for entry in repository.known.values()} == {UNCOMMITTED}
    assert len(repository.known) == 3


def test_the_environment_of_a_git_hook_does_not_lead_to_another_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(ZHANG)
    other = Repository(tmp_path / "other")
    other.commit(LI)
    monkeypatch.setenv("GIT_DIR", str(other.top / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.top))
    assert {entry.author for entry in repository.known.values()} == {ZHANG}


def test_a_program_that_the_repository_names_is_not_run(repository: Repository, tmp_path: Path) -> None:
    repository.commit(ZHANG)
    program = tmp_path / "monitor"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path / 'ran'}'\n")
    program.chmod(0o755)
    repository.git("config", "core.fsmonitor", str(program))
    assert len(repository.known) == 3
    assert not (tmp_path / "ran").exists()


def test_nothing_is_known_where_there_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "firm.yaml").write_text("name: x\n")
    assert provenance_of(tmp_path) == {}


@pytest.mark.parametrize(
    "git",
    [None, "exit 1", "printf '?? half'; exit 128", "exec sleep 60"],
    ids=["not installed", "fails", "breaks off", "does not answer"],
)
def test_nothing_is_known_and_nothing_fails_where_git_does_not_work(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: str | None
) -> None:
    repository.commit(ZHANG)
    programs = tmp_path / "programs"
    programs.mkdir()
    if git is not None:
        (programs / "git").write_text(f"#!/bin/sh\n{git}\n")
        (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin" if git else str(programs))
    monkeypatch.setattr(provenance, "TIME_LIMIT_S", 0.4)
    assert repository.known == {}


def test_a_history_that_breaks_off_tells_what_it_told(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(ZHANG)
    prefix = repository.project.relative_to(repository.top).as_posix().removeprefix(".")
    prefix = f"{prefix}/" if prefix else ""
    told = f"\\001abc\\000{LI}\\0002026-13-45\\n\\n{prefix}{SUITE}\\n{prefix}{STANDARD}\\n{prefix}{MAPPINGS}"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(
        f"#!/bin/sh\ncase \"$*\" in *--porcelain*) exit 0;; *) printf '{told}'; exec sleep 60;; esac\n"
    )
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(provenance, "TIME_LIMIT_S", 0.4)
    # The last line has no end, so it is not trusted; a date that no calendar has is left out.
    assert repository.known == dict.fromkeys((SUITE, STANDARD), Provenance(LI, "abc", None))
