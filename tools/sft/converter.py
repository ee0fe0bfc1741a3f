"""Runs llama.cpp's own converter: ``python -m preceptor.tools.sft.converter FOLDER MODEL OUT TYPE``.

Owns the two things that the converter is told. A model's own Python is not run: for some architectures
llama.cpp loads tokenizers with ``trust_remote_code=True``. And which pre-tokenizer a model has whose
vocabulary it has never seen: it knows tokenizers by a hash of token ids and refuses any vocabulary of
its own, although the text is split as a known one splits it. A process of its own: it imports torch.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from preceptor.core.reading import loads

SPLITS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}
"""What llama.cpp calls a way of splitting, by its regular expression; Llama 3's."""


def pre_tokenizer(model: Path) -> str:
    """Return what llama.cpp calls the pre-tokenizer of a model, empty if it cannot be told."""
    try:
        said = loads((model / "tokenizer.json").read_bytes())["pre_tokenizer"]
        first, second = said["pretokenizers"]
        bytewise = second["type"] == "ByteLevel" and not second["use_regex"]
        plain = not second["add_prefix_space"] and first["behavior"] == "Isolated"
        return SPLITS.get(first["pattern"]["Regex"], "") if bytewise and plain else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def refuse_code() -> None:
    """Let transformers run no Python that a model's folder or the hub's cache brings, whoever asks."""
    from transformers import dynamic_module_utils

    def refused(*_: object, **__: object) -> None:
        raise ValueError("the model brings Python of its own, which is never run")

    for name in ("get_cached_module_file", "get_class_in_module"):
        setattr(dynamic_module_utils, name, refused)


def main(folder: str, model: str, out: str, kind: str) -> None:
    """Convert the model in ``model`` with the converter in ``folder``."""
    refuse_code()
    sys.path[:0] = [folder, f"{folder}/gguf-py"]
    texts: Any = importlib.import_module("conversion.base").TextModel
    recognised = texts.get_vocab_base_pre

    def told(self: object, tokenizer: object) -> str:
        try:
            return str(recognised(self, tokenizer))
        except NotImplementedError:
            if name := pre_tokenizer(Path(model)):
                return name
            raise

    texts.get_vocab_base_pre = told
    sys.argv = ["convert_hf_to_gguf.py", model, "--outfile", out, "--outtype", kind]
    importlib.import_module("convert_hf_to_gguf").main()


if __name__ == "__main__":
    main(*sys.argv[1:5])
