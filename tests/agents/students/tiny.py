"""Tiny random models with a tokenizer of their own, saved as a folder that ``hf:PATH`` loads.

Their answers mean nothing, but depend strongly on every token before them: just right for telling
whether batching, padding, jump-ahead and reuse leave answers as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CORPUS = [
    '{"pain": "present", "dry mouth": "absent", "drugs": ["aspirin", "unknown"]}',
    "Field: pain Labels: present; absent; unknown List: drug names, as written in the note",
    "Read the note and fill in the field. Answer in JSON. not mentioned at all",
]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def tokenizer(*, digits: bool = False) -> PreTrainedTokenizerFast:
    """Train a byte-level tokenizer of 400 tokens on a few lines.

    Args:
        digits: Whether text is split as SmolLM2's is, digit by digit and then as GPT-2's, without an
            expression of its own.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    if digits:
        raw.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[PAD, BOS, END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS * 50, trainer)
    made = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=raw, bos_token=BOS, eos_token=END, pad_token=PAD, padding_side="left"
    )
    made.add_special_tokens({"additional_special_tokens": list(ROLES)})
    made.chat_template = TEMPLATE
    return made


def model(kind: Literal["lfm2", "llama", "mistral"], vocabulary: int) -> PreTrainedModel:
    """Return a random model whose logits are far apart; mistral has a sliding window."""
    import torch
    from transformers import (
        AutoModelForCausalLM,
        Lfm2Config,
        LlamaConfig,
        MistralConfig,
        PreTrainedConfig,
    )

    torch.manual_seed(0)
    size: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "initializer_range": 0.4,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if kind == "lfm2":
        layers = ["conv", "full_attention", "conv"]
        config: PreTrainedConfig = Lfm2Config(
            **size, num_hidden_layers=3, layer_types=layers, block_auto_adjust_ff_dim=False
        )
    elif kind == "llama":
        config = LlamaConfig(**size, num_hidden_layers=2)
    else:
        config = MistralConfig(**size, num_hidden_layers=2, sliding_window=96)
    made: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return made


def save(kind: Literal["lfm2", "llama", "mistral"], folder: Path, *, digits: bool = False) -> Path:
    """Write a model and its tokenizer (as ``tokenizer``), in fp16, and return the folder."""
    import torch

    made = tokenizer(digits=digits)
    folder.mkdir(parents=True, exist_ok=True)
    made.save_pretrained(folder)
    model(kind, len(made) + 5).to(torch.float16).save_pretrained(folder)  # type: ignore[arg-type]
    return folder
