"""Shares are kept with names that clients can write, and say what is wrong with others."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omgov_assets.data_lake.schemas import ARROW_TYPES
from omgov_assets.interface_service.sharing.lines import schema_string
from omgov_assets.interface_service.sharing.shares import ShareError, ShareStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ShareStore]:
    with ShareStore(tmp_path / "access" / "shares.db") as store:
        store.create("Firm", NOON)
        yield store


def test_a_dataset_is_called_by_its_folder_and_table_unless_it_is_named(store: ShareStore) -> None:
    first = store.add("firm", "quality/anomalies")
    second = store.add("FIRM", "quality/anomalies", "Quality", "again")
    assert (first.share, first.schema, first.name) == ("Firm", "quality", "anomalies")
    # A schema is one, however it is written.
    assert (second.schema, second.name) == ("quality", "again")
    assert first.id != second.id
    assert store.tables("firm") == [second, first]


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "-a", "a b", "é", "a" * 65, "..", "a\n", "a#b", "a?b"])
def test_names_that_clients_cannot_write_are_refused(store: ShareStore, name: str) -> None:
    with pytest.raises(ShareError, match="cannot be the name of a share"):
        store.create(name, NOON)
    for schema, table in ((name or ".", "t"), ("s", name or ".")):
        with pytest.raises(ShareError, match="cannot be the name of a"):
            store.add("Firm", "quality/anomalies", schema, table)


def test_what_cannot_be_is_said(store: ShareStore) -> None:
    store.add("Firm", "quality/anomalies")
    for wrong, said in (
        (lambda: store.create("FIRM", NOON), "there is a share FIRM already"),
        (lambda: store.add("firm", "cmdb/owners", "QUALITY", "Anomalies"), "is quality/anomalies already"),
        (lambda: store.add("firm", "anomalies"), "is no dataset"),
        (lambda: store.add("firm", "../x/y"), "is no dataset"),
        (lambda: store.add("gone", "cmdb/owners"), "gone: no such share"),
        (lambda: store.grant("gone", "steward"), "gone: no such share"),
        (lambda: store.grant("firm", " "), "name a principal"),
        (lambda: store.remove("firm", "quality", "gone"), "no such table"),
    ):
        with pytest.raises(ShareError, match=said):
            wrong()


def test_shares_are_of_those_they_are_offered_to(store: ShareStore) -> None:
    store.create("other", NOON)
    store.grant("firm", "steward")
    store.grant("Firm", "steward")
    assert [share.name for share in store.shares("steward")] == ["Firm"]
    assert store.shares("Steward") == []
    assert [share.name for share in store.shares()] == ["Firm", "other"]
    assert store.recipients("FIRM") == ["steward"]
    assert store.revoke("firm", "steward")
    assert not store.revoke("firm", "steward")
    assert store.shares("steward") == []


def test_a_table_that_takes_anothers_place_is_another(store: ShareStore) -> None:
    first = store.add("Firm", "quality/anomalies")
    assert store.remove("firm", "QUALITY", "anomalies") == first
    assert store.add("Firm", "quality/anomalies").id != first.id


def test_shares_are_kept_for_every_process(store: ShareStore) -> None:
    with ShareStore(store.path) as other:
        other.grant("firm", "steward")
    assert store.recipients("firm") == ["steward"]
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as con:
        con.execute("PRAGMA user_version = 9")
    con.close()
    with pytest.raises(ShareError, match="is of version 9"):
        ShareStore(newer)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 100)
    with pytest.raises(ShareError, match="nothing is shared"):
        ShareStore(broken)


def test_every_type_of_the_lake_has_one_of_spark() -> None:
    assert schema_string([(name, name) for name in ARROW_TYPES])
