"""Collecting a day's deliveries of a business system from its landing folder, and from declared standing sources.

A standing source (a file or an archive member outside the landing folder) is copied into the landing folder byte for byte
first, so that every batch is a file of the landing folder.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tarfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from omgov_assets.admission.gate import admit_batch
from omgov_assets.admission.ledger import close_admission
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.business_systems import BusinessSystem, DeliverySource
from omgov_assets.model_management.governance import Governance

UNFINISHED = (".tmp", ".part", ".partial", ".filepart")


def collect_system(
    settings: Settings,
    lake: Lake,
    governance: Governance,
    system: BusinessSystem,
    day: date,
    datasets: Iterable[str] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Take a system's deliveries of a day through the gate.

    Args:
        settings: where landing and lake are.
        lake: the lake.
        governance: control information.
        system: the business system.
        day: business day.
        datasets: datasets to collect; default all of the system.

    Returns:
        Ledger entries of the day by dataset, whether written now or before; an empty list where nothing was ever delivered.
    """
    collected = {}
    for name in datasets if datasets is not None else system.datasets:
        dataset = system.datasets[name]
        folder = settings.landing / system.name / name / day.isoformat()
        if dataset.transport.source is not None and not delivered_files(folder):
            fetch_standing_source(dataset.transport.source, governance.project, folder)
        for path in delivered_files(folder):
            admit_batch(lake, governance, system, dataset, day, path, settings.landing)
        collected[name] = close_admission(lake, system.name, name, day)
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


def fetch_standing_source(source: DeliverySource, project: Path, folder: Path) -> None:
    """Copy a standing source into a landing folder; nothing happens where the source is absent."""
    root = Path(os.environ[source.root_env]) if os.environ.get(source.root_env) else project / source.root
    archive = root / source.file
    if not archive.is_file():
        return
    name = Path(source.member or source.file).name
    for suffix in (".gz", ".xz"):
        name = name.removesuffix(suffix)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    with partial.open("wb") as target:
        if source.member is not None:
            with tarfile.open(archive) as tar:
                member = tar.extractfile(source.member)
                if member is None:
                    raise FileNotFoundError(f"{archive} has no file {source.member}")
                shutil.copyfileobj(member, target)
        else:
            with _decompressed(archive) as stream:
                shutil.copyfileobj(stream, target)
    modified = archive.stat().st_mtime
    os.utime(partial, (modified, modified))
    partial.replace(folder / name)


def _decompressed(path: Path) -> IO[bytes]:
    match path.suffix:
        case ".gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        case ".xz":
            return cast(IO[bytes], lzma.open(path, "rb"))
        case _:
            return path.open("rb")
