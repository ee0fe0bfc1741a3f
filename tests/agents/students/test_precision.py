"""What a student in process computes in: said in its recipe, and in the name of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="pip install preceptor[local]")

from preceptor.agents.students import StudentOptions, make
from preceptor.agents.students.hf import HFStudent
from preceptor.core.cache import answer_key
from preceptor.core.errors import InputError
from preceptor.core.records import Call, ModelRef, Precision, Recipe, Reply
from tests.agents.students import tiny
from tests.contracts.student import EXAMPLES, StudentContract, calls_about

OPTIONS = StudentOptions(threads=1, device="cpu")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("llama", tmp_path_factory.mktemp("llama"))


def student_of(folder: Path, precision: Precision) -> HFStudent:
    made = make(ModelRef(spec=f"hf:{folder}", precision=precision), options=OPTIONS)
    assert isinstance(made, HFStudent)
    return made


class TestShort(StudentContract):
    @pytest.fixture
    def student(self, folder: Path) -> HFStudent:
        return student_of(folder, "bf16")


def told(student: HFStudent, calls: list[Call]) -> list[Reply]:
    return sorted(student.complete(calls), key=lambda r: r.key)


def test_only_the_layers_matrices_are_shortened(folder: Path) -> None:
    import torch

    model = student_of(folder, "bf16")._loaded.model
    short = {name for name, p in model.named_parameters() if p.dtype == torch.bfloat16}
    assert "model.layers.0.self_attn.q_proj.weight" in short
    assert "model.layers.1.mlp.down_proj.weight" in short
    assert not [n for n in short if "norm" in n or "embed" in n or "lm_head" in n]
    for whole in ("auto", "fp32"):
        model = student_of(folder, whole)._loaded.model
        assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_probabilities_differ_by_rounding_only(folder: Path) -> None:
    calls = calls_about(EXAMPLES)
    exact, short = (told(student_of(folder, p), calls) for p in ("auto", "bf16"))
    off = [abs((a.probability or 0) - (b.probability or 0)) for a, b in zip(exact, short, strict=True)]
    assert 0 < max(off) < 0.2
    assert told(student_of(folder, "fp32"), calls)[0].raw == exact[0].raw


def test_the_recipe_and_its_answers_are_named_by_it(folder: Path) -> None:
    refs = [student_of(folder, p).ref for p in ("auto", "bf16")]
    recipes = [Recipe(model=ref) for ref in refs]
    assert [ref.precision for ref in refs] == ["auto", "bf16"]
    assert refs[0].digest == refs[1].digest, "the weights are the same"
    keys = [answer_key(r, r.model) for r in recipes]
    assert keys[0] != keys[1]
    assert ModelRef.from_json(refs[1].to_json()) == refs[1]
    assert "precision" not in refs[0].to_json(), "older recipes keep their hashes"
    assert refs[1].title.endswith(" in bf16")


def test_a_served_model_has_its_servers_precision() -> None:
    assert ModelRef.asked("ollama:m", "bf16").precision == "auto"
    assert ModelRef.asked("nano", "bf16").precision == "bf16"
    with pytest.raises(InputError, match="its server's choice"):
        make(ModelRef(spec="ollama:m", precision="bf16"))
