"""Work in a process of its own that kills itself at a step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def killed_at(last_step: int, work: Callable[[Callable[[], None]], None]) -> bool:
    """Do work, which calls what it is given at each step, and kill it at one; whether it got so far."""
    child = os.fork()
    if child == 0:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            work(step)
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0
