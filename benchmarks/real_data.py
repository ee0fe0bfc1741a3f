"""Where real data sets lie, for the tests and measurements that read one: never in the repository.

One setting says it, ``PRECEPTOR_DATA``; without it, ``../shared/data`` seen from the repository's root.
"""

from __future__ import annotations

import os
from pathlib import Path

SETTING = "PRECEPTOR_DATA"


def folder() -> Path:
    """Return the folder of all data sets, whether it is there or not."""
    return Path(os.environ.get(SETTING) or Path(__file__).parents[1] / "../shared/data").resolve()


def missing(name: str) -> str:
    """Return why a data set cannot be used, empty if it is there."""
    there = (folder() / name).is_dir()
    return "" if there else f"no {name}/ in {SETTING} (or, without it, in ../shared/data)"
