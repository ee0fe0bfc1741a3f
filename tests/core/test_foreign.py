"""A model is a model and an adapter is matrices: what their files say beside that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core import foreign
from preceptor.core.errors import InputError, StudentError

USUAL: dict[str, JsonValue] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "bias": "none",
    "target_modules": ["q_proj", "model.layers.0.mlp.down_proj"],
    "base_model_name_or_path": "hf:some/where",
    "peft_version": "0.21.2",
    "megatron_core": "megatron.core",
    "init_lora_weights": True,
    "rank_pattern": {},
    "modules_to_save": None,
}


def adapter(folder: Path, **more: JsonValue) -> Path:
    (folder / foreign.ADAPTER).write_text(json.dumps({**USUAL, **more}), "utf-8")
    (folder / foreign.ADAPTER_WEIGHTS).write_bytes(b"")
    return folder


def test_the_adapters_of_our_trainings_pass(tmp_path: Path) -> None:
    foreign.check_adapter(adapter(tmp_path))
    foreign.check_adapter(
        adapter(tmp_path, target_modules="all-linear", a_later_key=None, another=False)
    )
    library = "transformers.models.lfm2.modeling_lfm2"
    said: JsonValue = {"base_model_class": "Lfm2ForCausalLM", "parent_library": library}
    foreign.check_adapter(adapter(tmp_path, auto_mapping=said, task_type=None))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target_modules", ".*(a+)+b"),
        ("target_modules", ["q_proj", "(a+)+"]),
        ("target_modules", {"q_proj": 1}),
        ("exclude_modules", ["q_proj"]),
        ("layers_pattern", "layers"),
        ("rank_pattern", {"(a+)+": 4}),
        ("alpha_pattern", {"q": 4}),
        ("modules_to_save", ["lm_head"]),
        ("megatron_core", "payload"),
        ("megatron_config", {"a": 1}),
        ("auto_mapping", {"base_model_class": "X", "parent_library": "payload"}),
        ("eva_config", {"rho": 2.0}),
        ("init_lora_weights", "pissa"),
        ("peft_type", "PROMPT_TUNING"),
        ("bias", "payload"),
        ("x\x1b[2J" * 30, "payload"),
    ],
)
def test_everything_else_is_refused_in_one_line(key: str, value: JsonValue, tmp_path: Path) -> None:
    with pytest.raises(StudentError) as caught:
        foreign.check_adapter(adapter(tmp_path, **{key: value}), StudentError)
    said = str(caught.value)
    assert "\n" not in said
    assert "\x1b" not in said
    assert "payload" not in said


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b"[" * 100_000, b" " * (foreign.MOST_BYTES + 1)]
)
def test_what_is_no_configuration_is_one_line(content: bytes, tmp_path: Path) -> None:
    (adapter(tmp_path) / foreign.ADAPTER).write_bytes(content)
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        foreign.check_adapter(tmp_path)
    (tmp_path / foreign.ADAPTER).unlink()
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json"):
        foreign.check_model(tmp_path)


def model(folder: Path, **said: JsonValue) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **said}), "utf-8")
    return folder


def test_a_model_passes(tmp_path: Path) -> None:
    foreign.check_model(model(tmp_path, attn_implementation="sdpa", text_config={"vocab_size": 3}))


@pytest.mark.parametrize(
    "name", ["somebody/kernel", "paged|somebody/kernel", {"text": "somebody/k@main:f"}]
)
@pytest.mark.parametrize(
    "key", ["attn_implementation", "_attn_implementation", "experts_implementation"]
)
def test_attention_that_is_code_to_be_fetched_is_refused(
    key: str, name: JsonValue, tmp_path: Path
) -> None:
    places: tuple[dict[str, JsonValue], ...] = (
        {key: name},
        {"text_config": {key: name}},
        {"layers": [{key: name}]},
    )
    for said in places:
        with pytest.raises(InputError, match="code to be fetched"):
            foreign.check_model(model(tmp_path, **said))


def test_a_model_that_is_an_adapter_too_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an adapter too"):
        foreign.check_model(adapter(model(tmp_path)))


def test_the_librarys_advice_to_trust_code_is_not_passed_on() -> None:
    with pytest.raises(StudentError, match="Python of its own, which is never run") as caught:
        with foreign.loading(StudentError, "the model cannot be loaded"):
            raise ValueError("Please pass the argument `trust_remote_code=True`")
    assert "trust_remote_code" not in str(caught.value)
    with pytest.raises(StudentError, match="ValueError: odd"), foreign.loading(StudentError, "it"):
        raise ValueError("odd")
