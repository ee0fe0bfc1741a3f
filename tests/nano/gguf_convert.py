"""Run llama.cpp's own converter on nano: ``python gguf_convert.py CONVERTER_FOLDER MODEL OUT``.

The converter knows tokenizers by a hash of token ids and so refuses any vocabulary of its own; the
one thing told to it is which pre-tokenizer nano has: Llama 3's.
"""

from __future__ import annotations

import importlib
import sys


def main(folder: str, model: str, out: str) -> None:
    sys.path[:0] = [folder, f"{folder}/gguf-py"]
    base = importlib.import_module("conversion.base")
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "llama-bpe"
    sys.argv = ["convert_hf_to_gguf.py", model, "--outfile", out, "--outtype", "f32"]
    importlib.import_module("convert_hf_to_gguf").main()


if __name__ == "__main__":
    main(*sys.argv[1:4])
