"""Update the cases of a day in a process of its own, and be killed at a step of writing. Prints the steps otherwise.

Arguments: folder of the lake, folder of dataset contracts, day, number of the step (0: none). A step is the beginning
or the end of a function that writes to the lake.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

from case_nights import CASE_RULES

from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management.night import update_cases

WRITING = {"append", "replace", "write_new_partition", "sync_commit", "log_night", "write_members", "write_cases"}


def main() -> None:
    """Update the cases of the day that the arguments name."""
    root, contracts, day, last = sys.argv[1:]
    steps = 0

    def step(frame: FrameType, event: str, _: Any) -> None:
        nonlocal steps
        if (
            event in ("call", "return")
            and frame.f_code.co_name in WRITING
            and "omgov_assets" in frame.f_code.co_filename
        ):
            steps += 1
            if steps == int(last):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(step)
    update_cases(Lake(Path(root), dataset_contracts=Path(contracts)), date.fromisoformat(day), CASE_RULES)
    sys.setprofile(None)
    print(steps)


if __name__ == "__main__":
    main()
