"""The asset of dynamic baselines: what it waits for, what waits for nothing of it, and what it says of a day."""

from __future__ import annotations

import dagster as dg
import pytest
from deriving_firm import deliver_points  # noqa: F401 - replaced below
