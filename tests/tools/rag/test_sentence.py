"""``st:``: the vectors that sentence-transformers would give, from safetensors alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preceptor.agents import destination
from preceptor.core import model_folder, model_home
from preceptor.core.errors import InputError, StudentError
from preceptor.tools.rag import sentence
from preceptor.tools.rag.embed import Vector, embedder_for

WORDS = (
    "the patient reports no pain but mild red blotches since spring and sleeps on two pillows".split()
)
TEXTS = [" ".join(WORDS[i : i + 1 + i % 9]) for i in range(12)] + ["", "Pain!", " ".join(WORDS * 4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("embedder"))


def made(folder: Path) -> Path:
    """Write a tiny BERT in the layout of sentence-transformers."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {t: i for i, t in enumerate([*special, *dict.fromkeys(WORDS), "!", "##s"])}
    raw = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    steps = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [{"path": p, "type": f"sentence_transformers.models.{kind}"} for p, kind in steps]
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": False})
    return folder


def write(file: Path, said: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(said), "utf-8")


def like(folder: Path, to: Path) -> Path:
    """Return a copy of a folder that a test may change."""
    for file in folder.rglob("*"):
        if file.is_file():
            (to / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (to / file.relative_to(folder)).write_bytes(file.read_bytes())
    return to


def reference(folder: Path, text: str, pooling: str = "mean", most: int = 20) -> list[float]:
    """Return what the layout asks for, one text at a time and without padding."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text, truncation=True, max_length=most, return_tensors="pt")
    model: Any = AutoModel.from_pretrained(folder).eval()
    states = model(**ids).last_hidden_state.detach()[0]
    pooled = states.mean(0) if pooling == "mean" else states[0]
    return [float(x) for x in pooled / pooled.norm()]


def close(found: Vector, wanted: list[float]) -> bool:
    return (
        len(found) == len(wanted) and max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 2e-6
    )


def test_vectors_are_those_of_mean_pooling_cut_and_normalised(folder: Path) -> None:
    vectors = embedder_for(f"st:{folder}").embed(TEXTS)
    for text, found in zip(TEXTS, vectors, strict=True):
        assert math.isclose(sum(x * x for x in found), 1, abs_tol=1e-5)
        assert close(found, reference(folder, text)), text
    assert not close(vectors[-1], reference(folder, TEXTS[-1], most=64))  # it was cut


def test_a_text_has_one_vector_whatever_stands_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = embedder_for(f"st:{folder}")
    together = made.embed(TEXTS)
    assert together == [made.embed([text])[0] for text in TEXTS]
    monkeypatch.setattr(sentence, "BATCH_TOKENS", 40)
    assert made.embed(TEXTS) == together
    assert made.embed([]) == []
    assert made.embed(["half a pair \ud800"]) == made.embed(["half a pair ?"])


@pytest.mark.parametrize(
    "said",
    [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}],
)
def test_the_first_token_may_stand_for_all(
    said: dict[str, object], folder: Path, tmp_path: Path
) -> None:
    mine = like(folder, tmp_path / "m")
    write(mine / "1_Pooling/config.json", said)
    (found,) = embedder_for(f"st:{mine}").embed([TEXTS[3]])
    assert close(found, reference(folder, TEXTS[3], "cls"))


def test_the_digest_is_that_of_all_that_makes_the_vectors(folder: Path, tmp_path: Path) -> None:
    plain = embedder_for(f"st:{folder}").digest
    assert plain == embedder_for(f"st:{like(folder, tmp_path / 'same')}").digest
    other = like(folder, tmp_path / "other")
    write(other / "sentence_bert_config.json", {"max_seq_length": 10})
    prompted = like(folder, tmp_path / "prompted")
    said = {"prompts": {"query": "pain "}, "default_prompt_name": "query"}
    write(prompted / "config_sentence_transformers.json", said)
    digests = [embedder_for(f"st:{f}").digest for f in (other, prompted)]
    assert len({plain, *digests}) == 3
    (found,) = embedder_for(f"st:{prompted}").embed(["since spring"])
    assert close(found, reference(folder, "pain since spring"))


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled weights": (pickled, "no \\*.safetensors"),
    "a dense layer": (
        lambda f: write(
            f / "modules.json", [{"path": "2", "type": "sentence_transformers.models.Dense"}]
        ),
        "not known here: Dense",
    ),
    "another pooling": (
        lambda f: write(f / "1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        "pools by max_tokens",
    ),
    "two poolings": (
        lambda f: write(
            f / "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        ),
        "pools by",
    ),
    "torn layout": (lambda f: (f / "modules.json").write_text("[{"), "is damaged"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "torn weights": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "cannot be loaded"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_cannot_be_used_is_one_line(case: str, folder: Path, tmp_path: Path) -> None:
    mine = like(folder, tmp_path / "m")
    change, said = BAD[case]
    change(mine)
    with pytest.raises(StudentError, match=said) as error:
        embedder_for(f"st:{mine}")
    assert "\n" not in str(error.value)


def test_a_path_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    mine = like(folder, tmp_path / "in" / "m")
    modules = [{"path": "../..", "type": "sentence_transformers.models.Transformer"}]
    write(mine / "modules.json", modules)
    assert sentence.layout(mine).transformer == mine


def test_names_and_near_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preceptor models fetch all-minilm-l6-v2"):
        embedder_for("st:all-minilm-l6-v2", models=tmp_path)
    with pytest.raises(InputError, match="did you mean all-minilm-l6-v2"):
        embedder_for("st:all-minilm-l6", models=tmp_path)
    assert not destination.is_remote("st:all-minilm-l6-v2")


def test_a_fetched_name_knows_what_its_texts_begin_with(folder: Path, tmp_path: Path) -> None:
    mine = like(folder, tmp_path / "models" / "multilingual-e5-small")
    slip = model_home.Fetched(
        name=mine.name,
        kind="embedder",
        source="here",
        licence="none",
        date="2026-01-01",
        digest=model_folder.digest(mine),
        prefix="pain ",
        files=model_home.stamps(mine),
    )
    (mine / model_home.SLIP).write_text(slip.to_json(), "utf-8")
    (found,) = embedder_for(f"st:{mine.name}", models=mine.parent).embed(["since spring"])
    assert close(found, reference(folder, "pain since spring"))


PUBLISHED = {
    "This is an example sentence": (0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374481, 0.0026527),
    "Each sentence is converted": (0.0864386, 0.1027628),
}
"""First numbers of all-MiniLM-L6-v2's vectors, as its users publish them."""


@pytest.mark.live
@pytest.mark.skipif("PRECEPTOR_LIVE_MODELS" not in os.environ, reason="set PRECEPTOR_LIVE_MODELS=1")
def test_the_real_embedder_gives_the_published_numbers(tmp_path: Path) -> None:
    from importlib import import_module

    from preceptor.core.catalogue import catalogue

    fetch = import_module("preceptor.agents.models.fetch").fetch
    fetch(catalogue().named("all-minilm-l6-v2"), tmp_path)
    made = embedder_for("st:all-minilm-l6-v2", models=tmp_path)
    for text, numbers in PUBLISHED.items():
        assert close(made.embed([text])[0][: len(numbers)], list(numbers))
    said = ("That is a happy person", "That is a very happy person", "Today is a sunny day")
    one, *others = made.embed(said)
    cosines = [sum(a * b for a, b in zip(one, other, strict=True)) for other in others]
    assert cosines == pytest.approx([0.943, 0.257], abs=1e-3)
