"""Nano served by llama.cpp answers as it does in transformers.

Needs the extra ``gguf`` (xllamacpp, gguf) and the converter out of the llama-cpp-python sdist:
``pip download --no-deps --no-binary llama-cpp-python llama-cpp-python``, with ``PRECEPTOR_LLAMA_CPP``
set to that archive. It needs scratch space of about 40 MB, and is skipped where these are missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from random import Random
from typing import Any

import pytest

from preceptor.nano import path

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gguf", reason="needs the extra 'gguf'")
xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra 'gguf'")

from preceptor.nano import curriculum, encode, evaluate, notes, tokenizer  # noqa: E402
from preceptor.nano.words import Lexicon  # noqa: E402

SDIST = os.environ.get("PRECEPTOR_LLAMA_CPP", "")
WANTED = ("/vendor/llama.cpp/convert_hf_to_gguf.py", "/vendor/llama.cpp/conversion/", "/gguf-py/")
COUNT = 24
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SDIST, reason="PRECEPTOR_LLAMA_CPP does not name the sdist archive"),
]


def converter(scratch: Path) -> Path:
    """Unpack the converter and nothing else."""
    with tarfile.open(SDIST) as archive:
        members = [m for m in archive.getmembers() if any(w in m.name for w in WANTED)]
        archive.extractall(scratch, members=members, filter="data")
    return next(scratch.rglob("convert_hf_to_gguf.py")).parent


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    scratch = tmp_path_factory.mktemp("gguf")
    out = scratch / "nano.gguf"
    script = Path(__file__).with_name("gguf_convert.py")
    command = [sys.executable, str(script), str(converter(scratch)), str(path()), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    params = xllamacpp.CommonParams()
    params.model.path = str(out)
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.warmup = False
    return xllamacpp.Server(params)


def test_token_counts_and_greedy_answers_agree(served: Any) -> None:
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
        reply = served.handle_chat_completions(
            {
                "messages": [
                    {"role": "system", "content": system},
                    {"role": "user", "content": user},
                ],
                "temperature": 0.0,
                "max_tokens": evaluate.NEW_TOKENS,
            }
        )
        reply = json.loads(reply) if isinstance(reply, str) else reply
        expected = len(tokens(text, add_special_tokens=False)["input_ids"])
        counts += reply["usage"]["prompt_tokens"] == expected
        answers += reply["choices"][0]["message"]["content"] == wanted
    assert counts == COUNT
    assert answers == COUNT
