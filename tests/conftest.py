"""What holds for all tests: models that somebody fetched on this machine change nothing in them."""

from __future__ import annotations

import os
import tempfile

import pytest

from preceptor.core import model_home

FETCHED = model_home.default()
"""Where this machine's own models are, for the tests that use one."""

_EMPTY = tempfile.TemporaryDirectory()


def pytest_configure(config: pytest.Config) -> None:
    """Let models be looked for where none is, in this process and in the ones that it starts."""
    os.environ["XDG_DATA_HOME"] = _EMPTY.name
    # Bundles name their task; those of the serving tests name one in Python.
    os.environ["PRECEPTOR_RUN_CODE"] = "tests.graphs.hosted:task"
