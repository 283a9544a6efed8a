"""Write ``docs/expectation_types.md`` from the cases of the tests; start it with the project's Python."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent


def main() -> None:
    """Write the document."""
    sys.path.insert(0, str(DOCS.parent / "tests" / "support"))
    from expectation_table import expectation_types_markdown

    (DOCS / "expectation_types.md").write_text(expectation_types_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
