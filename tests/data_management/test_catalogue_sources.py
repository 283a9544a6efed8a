"""A catalogue is read from folders, files and archives alike, within limits, and never from outside of its path."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from omgov_assets.data_management.catalogues.entries import CatalogueFile, Finding
from omgov_assets.data_management.catalogues.sources import Limits, MissingCatalogueError, catalogue_files

FILES = {"b/metadata.csv": b"second", "a/metadata.csv": b"first", "a/README.md": b"not wanted"}
WANTED = [("a/metadata.csv", b"first"), ("b/metadata.csv", b"second")]


def wants(name: str) -> bool:
    return name.endswith(".csv")


def read(path: Path, limits: Limits | None = None) -> tuple[list[tuple[str, bytes]], list[Finding]]:
    items = list(catalogue_files(path, wants, limits) if limits else catalogue_files(path, wants))
    files = [(item.name, item.content) for item in items if isinstance(item, CatalogueFile)]
    return files, [item for item in items if isinstance(item, Finding)]


def write_folder(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_tar(path: Path, mode: str, members: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write_zip(path: Path, members: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_folder_gives_its_wanted_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    assert read(write_folder(tmp_path / "catalogue")) == (WANTED, [])


@pytest.mark.parametrize(
    ("name", "mode"),
    [("c.tar", "w"), ("c.tar.gz", "w:gz"), ("c.tgz", "w:gz"), ("c.tar.xz", "w:xz"), ("c.tar.bz2", "w:bz2")],
)
def test_a_tar_archive_reads_as_its_folder_would(tmp_path: Path, name: str, mode: str) -> None:
    assert read(write_tar(tmp_path / name, mode)) == (WANTED, [])


def test_a_zip_archive_reads_as_its_folder_would(tmp_path: Path) -> None:
    assert read(write_zip(tmp_path / "c.zip")) == (WANTED, [])


def test_members_named_from_the_current_folder_bear_the_same_names(tmp_path: Path) -> None:
    members = {f"./{name}": content for name, content in FILES.items()}
    assert read(write_tar(tmp_path / "c.tar", "w", members)) == (WANTED, [])


def test_one_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "metrics.txt"
    path.write_bytes(b"content")
    assert read(path) == ([("metrics.txt", b"content")], [])


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("xz", lzma.compress), ("bz2", bz2.compress)])
def test_one_compressed_file_is_unpacked(tmp_path: Path, suffix: str, compress) -> None:
    path = tmp_path / f"metadata.csv.{suffix}"
    path.write_bytes(compress(b"content"))
    assert read(path) == ([("metadata.csv", b"content")], [])


def test_a_path_where_nothing_is_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MissingCatalogueError, match=r"nowhere: no such file or folder; give the path"):
        catalogue_files(tmp_path / "nowhere", wants)


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    files = FILES | {".git/metadata.csv": b"x", "a/.metadata.csv": b"x"}
    assert read(write_folder(tmp_path / "catalogue", files)) == (WANTED, [])
    assert read(write_tar(tmp_path / "c.tar", "w", files)) == (WANTED, [])


def test_links_out_of_a_folder_are_not_followed_but_told(tmp_path: Path) -> None:
    outside = write_folder(tmp_path / "outside", {"secret.csv": b"secret"})
    folder = write_folder(tmp_path / "catalogue")
    (folder / "link.csv").symlink_to(outside / "secret.csv")
    (folder / "linked").symlink_to(outside)
    files, findings = read(folder)
    assert files == WANTED
    assert [(f.kind, f.file, f.refused) for f in findings] == [
        ("unsafe_path", "link.csv", True),
        ("unsafe_path", "linked", True),
    ]


def test_a_named_pipe_does_not_hold_the_import_up(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "catalogue")
    os.mkfifo(folder / "pipe.csv")
    files, findings = read(folder)
    assert files == WANTED
    assert [(f.kind, f.file) for f in findings] == [("unsafe_path", "pipe.csv")]


def test_members_that_lead_out_of_an_archive_are_refused(tmp_path: Path) -> None:
    members = FILES | {"../out.csv": b"x", "/etc/out.csv": b"x"}
    for path in (write_tar(tmp_path / "c.tar", "w", members), write_zip(tmp_path / "c.zip", members)):
        files, findings = read(path)
        assert files == WANTED
        assert sorted((f.kind, f.file) for f in findings) == [
            ("unsafe_path", "../out.csv"),
            ("unsafe_path", "/etc/out.csv"),
        ]


def test_links_in_archives_are_not_followed_but_told(tmp_path: Path) -> None:
    path = tmp_path / "c.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("soft.csv", tarfile.SYMTYPE), ("hard.csv", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    zipped = tmp_path / "c.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        info = zipfile.ZipInfo("soft.csv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert [(f.kind, f.file) for f in read(path)[1]] == [("unsafe_path", "hard.csv"), ("unsafe_path", "soft.csv")]
    assert [(f.kind, f.file) for f in read(zipped)[1]] == [("unsafe_path", "soft.csv")]
    assert read(path)[0] == read(zipped)[0] == []


def test_a_file_above_the_limit_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    files = FILES | {"c/metadata.csv": b"x" * 2000}
    limits = Limits(file_bytes=1000)
    single = tmp_path / "big.csv.gz"
    single.write_bytes(gzip.compress(b"x" * 2000))
    for path in (
        write_folder(tmp_path / "catalogue", files),
        write_tar(tmp_path / "c.tar.gz", "w:gz", files),
        write_zip(tmp_path / "c.zip", files),
    ):
        found, findings = read(path, limits)
        assert found == WANTED
        assert [(f.kind, f.file, f.detail) for f in findings] == [
            ("unparsable_file", "c/metadata.csv", "larger than 1,000 bytes")
        ]
    assert [f.kind for f in read(single, limits)[1]] == ["unparsable_file"]


def test_an_archive_that_unpacks_to_more_than_the_limit_is_stopped(tmp_path: Path) -> None:
    # Not even wanted: it is what stands before the wanted ones that costs.
    members = {"bomb.bin": b"\0" * 3_000_000} | FILES
    limits = Limits(total_bytes=1_000_000)
    for path in (write_tar(tmp_path / "c.tar.xz", "w:xz", members), write_zip(tmp_path / "c.zip", members)):
        files, findings = read(path, limits)
        assert files == []
        assert [(f.kind, f.refused) for f in findings] == [("catalogue_too_large", True)]
        assert "more than 1,000,000 bytes" in findings[0].detail


def test_more_members_than_the_limit_stop_the_reading(tmp_path: Path) -> None:
    files = {f"{number:03}.csv": b"x" for number in range(50)}
    limits = Limits(members=10)
    for path in (
        write_folder(tmp_path / "catalogue", files),
        write_tar(tmp_path / "c.tar", "w", files),
        write_zip(tmp_path / "c.zip", files),
    ):
        found, findings = read(path, limits)
        assert len(found) <= 10
        assert [f.kind for f in findings] == ["catalogue_too_large"]


def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.csv")
        member.pax_headers = {"comment": "x" * 3_000_000}
        archive.addfile(member)
    files, findings = read(path)
    assert files == []
    assert [(f.kind, "header" in f.detail) for f in findings] == [("catalogue_too_large", True)]


@pytest.mark.parametrize("name", ["c.zip", "c.tar", "c.tar.gz", "c.tar.xz", "c.csv.gz", "c.csv.xz", "c.csv.bz2"])
def test_what_is_no_archive_is_a_finding_and_no_crash(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"no archive at all" * 100)
    files, findings = read(path)
    assert files == []
    assert [(f.kind, f.refused) for f in findings] == [("unparsable_file", True)]


def test_an_archive_that_was_cut_off_gives_what_came_before(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "c.tar", "w", {"a.csv": b"a" * 4000, "b.csv": b"b" * 400_000})
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:20_000])
    files, findings = read(cut)
    assert files == [("a.csv", b"a" * 4000)]
    assert {f.kind for f in findings} == {"unparsable_file"}


def test_an_encrypted_member_is_a_finding(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "c.zip", {"a.csv": b"content"})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(bytes(content))
    files, findings = read(path)
    assert files == []
    assert [f.kind for f in findings] == ["unparsable_file"]
    assert "password" in findings[0].detail


def test_a_name_with_control_characters_is_written_escaped(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "c.tar", "w", {"a\x1b[31m\n.csv": b"x"})
    assert read(path) == ([("a\\x1b[31m\\n.csv", b"x")], [])
