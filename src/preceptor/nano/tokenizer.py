"""Own nano's tokenizer: a byte-level BPE that transformers, llama.cpp and Ollama all import.

The pre-tokenizer is the Llama-3 split followed by byte-level mapping, every special token is
declared, and the chat template (which carries the BOS) travels inside the tokenizer. The text it
is trained on is licence-clean corpus text named by ``PRECEPTOR_DATA``; none of it is kept.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.nano import lexicon

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 10240
COMMON = 1200
PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
SPECIALS = (PAD, BOS, END, *ROLES)
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CORPORA = (
    "aci_bench", "medec_ms", "mts_dialog", "psytar", "sdoh_synthetic", "medical_abstracts_tc",
    "facility_support", "polyai_banking_restaurant", "snips_nlu", "phee_v2", "ncbi_disease",
    "bc5cdr",
)  # fmt: skip
FRAME = (
    "Read the note and fill in the field. Answer in JSON.\nRules:\n1. family history does not "
    "count\nExamples:\nshe denies it => absent\n\n<note>\nNote text.\n</note>\nField: name\n"
    "Meaning: text\nLook for: a; b\nRules:\n1. one\nLabels: present (stated); absent (denied); "
    'unknown (not mentioned)\n{"name": "present"}\n{"a": "absent", "b_c": "unknown"}'
)
_PROSE = re.compile(r"[A-Za-z][A-Za-z ,.;:'()/0-9%-]{20,}")
_SUFFIXES = {".txt", ".csv", ".json", ".tsv", ".jsonl"}


def corpus(data: Path) -> Iterator[str]:
    """Yield runs of prose from the licence-clean corpora under a folder.

    Args:
        data: The folder that holds one sub-folder per corpus.
    """
    for name in CORPORA:
        for file in sorted((data / name).rglob("*")):
            if file.suffix not in _SUFFIXES or "LICENSE" in file.name:
                continue
            yield from _PROSE.findall(file.read_text(encoding="utf-8", errors="ignore"))


def forced(repeat: int, common: Iterable[str] = ()) -> Iterator[str]:
    """Yield the words that must become single tokens, often enough that they do.

    A label is met bare (after a quote), after a space and capitalised; so are common words, which
    occur bare after an underscore or a quote and capitalised at the start of a sentence.

    Args:
        repeat: How often a label word is repeated; other words half as often.
        common: Frequent words of the corpus.
    """
    for word in lexicon.LABEL_WORDS:
        yield from [word, f" {word}"] * repeat
        yield from [word.capitalize()] * (repeat // 2)
    listed = (*lexicon.SITES, *lexicon.QUALITIES, *lexicon.EVERYDAY, *lexicon.SYMPTOMS)
    for word in dict.fromkeys((*listed, *common)):
        yield from [f" {word}", word, f" {word.capitalize()}"] * (repeat // 2)
    yield from [FRAME] * repeat


def _stream(data: Path) -> Iterator[str]:
    runs = list(corpus(data))
    counts = Counter(word for run in runs for word in re.findall(r"[a-z]{3,}", run))
    yield from runs
    yield from forced(1500, [word for word, _ in counts.most_common(COMMON)])


def build(data: Path, out: Path) -> PreTrainedTokenizerFast:
    """Train the tokenizer and write it in the transformers layout.

    Args:
        data: The folder of licence-clean corpora.
        out: The folder to write to.

    Returns:
        The tokenizer, as reloaded by training and serving code.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(_stream(data), trainer)
    return save(raw, out)


def save(raw: object, out: Path) -> PreTrainedTokenizerFast:
    """Wrap a trained tokenizer with its specials and chat template, and write it.

    Args:
        raw: A ``tokenizers.Tokenizer``.
        out: The folder to write to.
    """
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast
    wrapped: PreTrainedTokenizerFast = make(
        tokenizer_object=raw,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=list(ROLES),
        add_bos_token=False,
        add_eos_token=False,
        model_max_length=2048,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    out.mkdir(parents=True, exist_ok=True)
    wrapped.save_pretrained(out)
    config = out / "tokenizer_config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    # Importers that default to prepending a BOS must read that the template carries it.
    settings |= {"add_bos_token": False, "add_eos_token": False}
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return wrapped


def load(folder: Path) -> PreTrainedTokenizerFast:
    """Load nano's tokenizer from a folder."""
    from transformers import PreTrainedTokenizerFast

    found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
        folder, trust_remote_code=False
    )
    return found


def main() -> None:
    """Train a tokenizer from the command line."""
    parser = argparse.ArgumentParser(description="Train nano's tokenizer.")
    parser.add_argument("--data", type=Path, required=True, help="folder of corpora")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args()
    print(len(build(args.data, args.out)), "tokens")


if __name__ == "__main__":
    main()
