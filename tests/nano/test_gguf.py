"""Nano served by llama.cpp answers as it does in transformers, without a grammar, too.

Runs where the extra ``gguf`` is installed and ``PRECEPTOR_LLAMA_CPP`` names llama.cpp's converter (the
source archive of llama-cpp-python); says why it does not elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from preceptor.nano import path

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf", reason="needs the extra 'gguf'")
pytest.importorskip("xllamacpp", reason="needs the extra 'gguf'")

from preceptor.agents.servers.llamacpp import LlamaCppServer  # noqa: E402
from preceptor.nano import curriculum, encode, evaluate, notes, tokenizer  # noqa: E402
from preceptor.nano.words import Lexicon  # noqa: E402
from preceptor.tools.sft import conversion  # noqa: E402

CONVERTER = os.environ.get("PRECEPTOR_LLAMA_CPP", "")
COUNT = 24
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CONVERTER, reason="PRECEPTOR_LLAMA_CPP names no converter"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out = tmp_path_factory.mktemp("gguf") / "nano.gguf"
    conversion.convert(path(), out, "f32", Path(CONVERTER))
    with LlamaCppServer(out, threads=1) as server:
        yield server.url


def test_token_counts_and_greedy_answers_agree(url: str) -> None:
    tokens = tokenizer.load(path())
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(path(), dtype=torch.float32)
    lexicon = Lexicon(tokens)
    counts, answers = 0, 0
    for i in range(COUNT):
        page = notes.page(Random(f"gguf:{i}"), lexicon, curriculum.STAGES[-1])
        question = page.questions[0]
        system, user, _ = encode.chat(page, question)
        text = evaluate.item(page, question).prompt
        [wanted] = evaluate.generated(net, tokens, [text])
        turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        asked = {"messages": turns, "temperature": 0.0, "max_tokens": evaluate.NEW_TOKENS}
        reply = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60).json()
        expected = len(tokens(text, add_special_tokens=False)["input_ids"])
        counts += reply["usage"]["prompt_tokens"] == expected
        answers += reply["choices"][0]["message"]["content"] == wanted
    assert counts == COUNT
    assert answers == COUNT
