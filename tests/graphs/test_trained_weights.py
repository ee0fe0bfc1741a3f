"""Trained weights that are not what their recipe names are refused wherever they would answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft", reason="pip install preceptor[local]")

from preceptor.core.errors import InputError
from preceptor.core.records import AdapterRef, ModelRef, Recipe
from preceptor.graphs import wiring
from preceptor.graphs.answering import Students
from preceptor.tools.sft import base
from tests.agents.students import tiny
from tests.graphs import hosted, small

OPTIONS = wiring.Options(task="tests.graphs.small:task", student=f"hf:{hosted.model()}")


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Path, Recipe]:
    """Return a bundle's folder with trained weights, and its recipe."""
    ref = hosted.adapter(tmp_path / "adapter", hosted.model())
    digest = base.model_digest(hosted.model())
    return tmp_path, Recipe(model=ModelRef(spec=OPTIONS.student, digest=digest), adapter=ref)


def opened(folder: Path, recipe: Recipe) -> None:
    """Open the student of a bundle."""
    students = Students(small.task(), OPTIONS)
    students.at(folder)
    try:
        students.of(recipe)
    finally:
        students.close()


def test_the_right_weights_answer(trained: tuple[Path, Recipe]) -> None:
    opened(*trained)


def test_damaged_weights_do_not(trained: tuple[Path, Recipe]) -> None:
    folder, recipe = trained
    file = folder / "adapter" / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="are damaged"):
        opened(folder, recipe)


def test_nor_weights_of_another_training(trained: tuple[Path, Recipe]) -> None:
    folder, recipe = trained
    with pytest.raises(InputError, match=r"are not the recipe's \(recipe: 0000"):
        opened(folder, recipe.model_copy(update={"adapter": AdapterRef(digest="0" * 20)}))


def test_nor_weights_of_another_model(trained: tuple[Path, Recipe], tmp_path: Path) -> None:
    folder, recipe = trained
    other = tiny.save("llama", tmp_path / "other")
    model = ModelRef(spec=f"hf:{other}", digest=base.model_digest(other))
    with pytest.raises(InputError, match="were trained on another model"):
        opened(folder, recipe.model_copy(update={"model": model}))


def test_nor_none_at_all(trained: tuple[Path, Recipe]) -> None:
    folder, recipe = trained
    shutil.rmtree(folder / "adapter")
    with pytest.raises(InputError, match="no trained weights in"):
        opened(folder, recipe)
