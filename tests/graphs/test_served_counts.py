"""A run's student that Ollama serves is counted with the tokenizer of the weights behind it."""

from __future__ import annotations

from pathlib import Path

from preceptor import nano
from preceptor.core.records import ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.graphs import wiring
from preceptor.graphs.answering import Students
from tests.graphs import small


def counts(spec: str, faces: dict[str, Path]) -> Path | None:
    options = wiring.Options(task="x", student=spec)
    opened = Students(small.task(), options, settings=Settings(faces=faces))
    return opened._options(Recipe(model=ModelRef(spec=spec))).counts


def test_the_configured_weights_are_taken_under_any_spelling() -> None:
    faces = {"Mine:1B": nano.path()}
    assert counts("ollama:library/mine:1b", faces) == nano.path()
    assert counts("ollama:other:1b", faces) is None
    assert counts("nano", faces) is None
