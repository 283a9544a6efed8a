"""Which policy views take all columns of another table than the dataset, so that what they add must be masked."""

from __future__ import annotations

import pytest

from omgov_assets.quality_policy.confidential import _takes_all


@pytest.mark.parametrize(
    "view",
    [
        "SELECT * FROM dataset AS r JOIN own.owners o ON true",
        "SELECT r.*, o.* FROM dataset AS r JOIN own.owners o ON true",
        "SELECT d.*, x.* FROM dataset d, own.owners x",
        "WITH x AS (SELECT * FROM own.owners) SELECT d.* FROM dataset d",
        "SELECT d.*, (FROM own.owners LIMIT 1) FROM dataset d",
        "SELECT COLUMNS('e.*') FROM own.owners",
        "SELECT * EXCLUDE (active) FROM own.owners",
        "FROM own.owners",
        "SELECT (( what cannot be read",
    ],
)
def test_a_view_that_takes_all_of_a_table_is_told(view: str) -> None:
    assert _takes_all(view)


@pytest.mark.parametrize(
    "view",
    [
        "SELECT r.* FROM dataset AS r JOIN own.owners o ON true",
        "SELECT d.*, o.active FROM dataset d, own.owners o",
        "WITH x AS (SELECT * FROM (VALUES (1))) SELECT d.* FROM dataset d JOIN x ON true",
        "SELECT d.*, (SELECT count(*) FROM own.owners) FROM dataset d",
        "SELECT * FROM dataset",
        "",
    ],
)
def test_a_view_that_takes_all_of_the_dataset_alone_is_not(view: str) -> None:
    assert not _takes_all(view)
