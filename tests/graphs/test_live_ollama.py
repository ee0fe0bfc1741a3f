"""Trained weights go back to a real Ollama server; run where ``PRECEPTOR_OLLAMA_URL`` names one.

The student is SmolLM2 as it was fetched by name (``preceptor models fetch smollm2-135m``): the server
is given its very file. Everything that is made on the server is deleted again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl", reason="pip install preceptor[local]")

from preceptor.agents.publish import Model, Publisher
from preceptor.agents.scripted import ScriptedTeacher
from preceptor.core import model_home
from preceptor.core.errors import InputError
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.core.trace import read
from preceptor.graphs import adapting, grounds, refine, returned, training, wiring
from tests.conftest import FETCHED
from tests.graphs.test_ways_back import LIGHT, OPTIONS, Run

LIVE = os.environ.get("PRECEPTOR_OLLAMA_URL", "")
NAME = "preceptor/live-base:135m"
LEARNABLE = "tests.graphs.test_returning:task"
TUNE = {
    "fine_tune": {
        "change": {"epochs": 8, "rate": 1e-3, "batch": 4, "validation": 0, "patience": 0},
        "recombined": 0,
    }
}

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not LIVE, reason="PRECEPTOR_OLLAMA_URL names no server"),
]


def settings() -> Settings:
    given = {"concurrency": 1, "models_dir": FETCHED, "timeouts": {"student": 600}}
    return Settings.model_validate(given)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Iterator[wiring.Options]:
    """Give the server the file of SmolLM2; take away what was made of it."""
    try:
        folder = model_home.locate("smollm2-135m", FETCHED)
    except InputError as error:
        pytest.skip(str(error))
    [file] = folder.glob("*.gguf")
    monkeypatch.setenv("OLLAMA_HOST", LIVE)
    template = (
        "<|im_start|>system\n{{ .System }}<|im_end|>\n<|im_start|>user\n{{ .Prompt }}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    publisher = Publisher(LIVE)
    before = set(publisher.names())
    publisher.create(Model(NAME, {"model.gguf": file}, template), lambda _: None)
    adapting._known.clear()
    try:
        yield OPTIONS.model_copy(update={"student": f"ollama:{NAME}", "timeout": 600.0})
    finally:
        for name in set(publisher.names()) - before:
            publisher.delete(name)
        publisher.close()


def test_an_adapter_goes_onto_the_served_base(options: wiring.Options, tmp_path: Path) -> None:
    chosen = settings()
    with wiring.create(options, tmp_path, "run", chosen) as session:
        face = training.faces(chosen)(session.start.model)
        assert face.folder == model_home.locate("smollm2-135m", FETCHED), (
            "what is served is what is trained"
        )
        run = Run(session, chosen, face)
        way = run.home.way(session.start, face, None, whole=True)
        assert (way.way, way.skip) == ("adapter", ("q_proj", "k_proj"))
        tuned, said = run.bring(run.trained(LIGHT))
        assert tuned.adapter is not None
        known = returned.read(training.served_folder(session.store.path, tuned.adapter))
    assert f"as an adapter on {NAME}" in said
    assert known is not None
    assert known.passed


def test_a_run_tunes_and_goes_on_with_the_served_model(options: wiring.Options, tmp_path: Path) -> None:
    chosen = settings()
    options = options.model_copy(update={"moves": ("fine_tune",), "task": LEARNABLE})
    with wiring.create(options, tmp_path, "run", chosen) as session:
        refine.run(replace(session, teacher=ScriptedTeacher([[TUNE], []])))  # type: ignore[list-item]
    seen = [
        e for e in read(RunStore.open(tmp_path / "run").trace.path) if e.kind in ("move", "corrected")
    ]
    assert seen[0].kind == "move", seen[0].data["why"]
    publisher = Publisher(LIVE)
    assert grounds.of(publisher, NAME).digest
    publisher.close()
