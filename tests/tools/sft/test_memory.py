"""A training for which there is too little memory is refused before it starts, with what would fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor import nano
from preceptor.tools.sft import memory
from preceptor.tools.sft.job import Base, Failed, Hyper, Job
from tests.tools.sft import small

BILLION = 1_000_000_000


def job(hyper: Hyper) -> Job:
    return Job(base=Base(spec="hf:big", digest="0"), data="0", rows=1, hyper=hyper)


def test_weights_are_counted_without_loading_them() -> None:
    pytest.importorskip("torch", reason="pip install preceptor[local]")
    from transformers import AutoModelForCausalLM

    for folder in (small.model(), nano.path()):
        model = AutoModelForCausalLM.from_pretrained(folder)
        tied = sum(p.numel() for p in model.parameters())
        assert memory.parameters(folder) == pytest.approx(tied, rel=0.3)


def test_a_folder_that_does_not_say_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no header")
    assert memory.parameters(tmp_path) == 0
    memory.check(job(Hyper(method="full")), tmp_path, 1)


def test_whole_weights_take_more_than_adapters() -> None:
    full, lora = (memory.needed(m, BILLION) for m in ("full", "lora"))
    assert full > 3 * lora
    assert memory.needed("full", BILLION, probe=True) > full
    assert memory.needed("lora", BILLION, gpu=True) < lora


def test_it_says_what_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "parameters", lambda _: BILLION)
    memory.check(job(Hyper(method="full")), tmp_path, 20 * 2**30)
    memory.check(job(Hyper(method="full")), tmp_path, None)
    said = "training all weights of 'hf:big' takes about 15.4 GiB of memory, 8.0 GiB are free"
    with pytest.raises(Failed, match=said) as error:
        memory.check(job(Hyper(method="full")), tmp_path, 8 * 2**30)
    assert error.value.hint == "method 'lora' takes about 4.7 GiB"
    with pytest.raises(Failed) as error:
        memory.check(job(Hyper(method="full")), tmp_path, 2 * 2**30)
    assert error.value.hint == "take a smaller model"
    with pytest.raises(Failed, match="training adapters of") as error:
        memory.check(job(Hyper()), tmp_path, 2 * 2**30)
    assert (error.value.hint, error.value.kind) == ("take a smaller model", "out_of_memory")
