"""A run is asked in a precision, and keeps it whatever the settings say later."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="pip install preceptor[local]")

from preceptor.core.settings import Settings
from preceptor.graphs import wiring


def test_a_run_keeps_the_precision_that_it_began_with(tmp_path: Path) -> None:
    chosen = Settings(precision="bf16", runs_dir=tmp_path)
    options = wiring.options(chosen, {"task": "toxicity", "student": "nano", "moves": ("edit_prompt",)})
    with wiring.create(options, tmp_path, "one", chosen) as session:
        assert session.start.model.precision == "bf16"
    with wiring.reopen(tmp_path / "one", Settings(runs_dir=tmp_path)) as session:
        assert session.start.model.precision == "bf16"
