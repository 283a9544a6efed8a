"""Collecting a day's deliveries of a business system from its landing folder, and from declared standing sources.

A standing source (a file or an archive member outside the landing folder) is copied into the landing folder byte for
byte first, so that every batch is a file of the landing folder.
"""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from omgov_assets.admission.arrivals import unseen_deliveries
from omgov_assets.admission.delivery_limits import copy_within_limits
from omgov_assets.admission.gate import admit_deliveries, judge_of, sole_admission, unpublished_contract
from omgov_assets.admission.ledger import close_admission
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.business_systems import BusinessSystem, DeliverySource, Transport
from omgov_assets.model_management.governance import Governance

UNFINISHED = (".tmp", ".part", ".partial", ".filepart")


def collect_system(
    settings: Settings,
    lake: Lake,
    governance: Governance,
    system: BusinessSystem,
    day: date,
    datasets: Iterable[str] | None = None,
    *,
    unseen_only: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """Take a system's deliveries of a day through the gate.

    Args:
        settings: where landing and lake are.
        lake: the lake.
        governance: control information.
        system: the business system.
        day: business day.
        datasets: datasets to collect; default all of the system.
        unseen_only: do not go through files again that the gate knows, unless what it decided of them may change; that
            the lake still holds their rows is not looked at then.

    Returns:
        Ledger entries of the day by dataset, whether written now or before; an empty list where nothing was ever
        delivered.
    """
    collected = {}
    for name in datasets if datasets is not None else system.datasets:
        dataset = system.datasets[name]
        folder = settings.landing / system.name / name / day.isoformat()
        with sole_admission(lake, system.name, name), lake.connect() as con:
            judge = judge_of(governance, system, dataset)
            if dataset.transport.source is not None and not delivered_files(folder):
                archive = standing_archive(dataset.transport.source, governance.project)
                try:
                    fetch_standing_source(archive, dataset.transport, folder)
                except RefusedBatchError as fault:
                    admit_deliveries(con, lake, judge, day, [archive], archive.parent, fault)
            refused = unpublished_contract(con, lake, judge, day)
            files = delivered_files(folder)
            if unseen_only and refused is None and dataset.transport.source is None:
                files = unseen_deliveries(con, lake, judge, day, files, settings.landing)
            admit_deliveries(con, lake, judge, day, files, settings.landing, refused)
            collected[name] = close_admission(con, lake, judge, day)
    return collected


def delivered_files(folder: Path) -> list[Path]:
    """Finished files of a landing folder by name; hidden and half-written ones are left alone."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".") and path.suffix not in UNFINISHED
    )


def standing_archive(source: DeliverySource, project: Path) -> Path:
    """The file that a standing source names; it may be absent."""
    root = Path(os.environ[source.root_env]) if os.environ.get(source.root_env) else project / source.root
    return root / source.file


def fetch_standing_source(archive: Path, transport: Transport, folder: Path) -> None:
    """Copy a standing source into a landing folder; nothing happens where the source is absent.

    Raises:
        RefusedBatchError: the archive is broken or lacks the member (``unreadable_source``), or unpacks to more than
            the transport's limits allow.
    """
    if transport.source is None or not archive.is_file():
        return
    member = transport.source.member
    name = Path(member or transport.source.file).name
    for suffix in (".gz", ".xz"):
        name = name.removesuffix(suffix)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    try:
        with _unpacked(archive, member) as stream, partial.open("wb") as target:
            copy_within_limits(archive.name, stream, target, archive.stat().st_size, transport.limits)
    except RefusedBatchError:
        partial.unlink(missing_ok=True)
        raise
    except (OSError, EOFError, KeyError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        partial.unlink(missing_ok=True)
        problem = str(error).strip("'\"")
        raise RefusedBatchError(
            "unreadable_source",
            f"{archive.name} cannot be unpacked: {problem}; restore the file, or correct source in defs.yaml",
        ) from error
    modified = archive.stat().st_mtime
    os.utime(partial, (modified, modified))
    partial.replace(folder / name)


@contextmanager
def _unpacked(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    if member is not None:
        with tarfile.open(path) as tar:
            stream = tar.extractfile(member)
            if stream is None:
                raise KeyError(f"{member} is not a file")
            yield stream
        return
    with _decompressed(path) as stream:
        yield stream


def _decompressed(path: Path) -> IO[bytes]:
    match path.suffix:
        case ".gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        case ".xz":
            return cast(IO[bytes], lzma.open(path, "rb"))
        case _:
            return path.open("rb")
