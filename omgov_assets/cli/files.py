"""Writing rows to a file whose name says its format, for commands.

Does not belong here: how rows are written (``interface_service.formats``), what is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omgov_assets.cli.output import fail

if TYPE_CHECKING:
    import pyarrow as pa


def require_known_ending(out: Path) -> None:
    """End the command where the file's name does not say a format."""
    from omgov_assets.interface_service.formats.formats import BY_ENDING

    if out.suffix.lower() not in BY_ENDING:
        fail(f"{out}: name a file that ends in {', '.join(BY_ENDING)}")


def write_file(out: Path, reader: pa.RecordBatchReader, tmp: Path) -> int:
    """Write rows to a file, which is there whole or not at all. Ends the command where it cannot.

    Args:
        out: the file.
        reader: the rows.
        tmp: folder for what is written on the way; ``Settings.tmp``.

    Returns:
        How many rows there are.
    """
    import pyarrow as pa

    from omgov_assets.interface_service.formats.binaries import DoesNotFitError
    from omgov_assets.interface_service.formats.formats import BY_ENDING

    require_known_ending(out)
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in reader:
            rows += batch.num_rows
            yield batch

    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            pieces = BY_ENDING[out.suffix.lower()].pieces
            for piece in pieces(pa.RecordBatchReader.from_batches(reader.schema, counted()), tmp):
                file.write(piece)
        part.replace(out)
    except OSError as error:
        fail(f"{out} cannot be written ({error})")
    except DoesNotFitError as error:
        fail(f"{out}: {error}")
    finally:
        part.unlink(missing_ok=True)
    return rows
