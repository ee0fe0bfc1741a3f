"""A model's own Python goes along into no export, and llama.cpp's converter does not run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

pytest.importorskip("peft", reason="pip install preceptor[local]")

from preceptor.core import child
from preceptor.tools.sft import merge
from tests.hostile.foreign import own_model, own_tokenizer
from tests.tools.sft import small

TRUSTING = """
import sys
from preceptor.tools.sft import converter
converter.refuse_code()
import transformers
made = getattr(transformers, sys.argv[1])
made.from_pretrained(sys.argv[2], local_files_only=True, trust_remote_code=True)
"""


@pytest.mark.parametrize("kind", ["AutoTokenizer", "AutoConfig"])
def test_the_converter_runs_no_python_of_a_model_though_it_trusts_it(kind: str, tmp_path: Path) -> None:
    folder, mark = Path(copytree(small.model("llama"), tmp_path / "model")), tmp_path / "mark"
    (own_tokenizer if kind == "AutoTokenizer" else own_model)(folder, mark)
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRUSTING, kind, str(folder)],
        env=child.environ(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ValueError: the model brings Python of its own, which is never run" in done.stderr
    assert not mark.exists()


def test_what_is_exported_names_no_python(tmp_path: Path) -> None:
    folder = Path(copytree(small.model("llama"), tmp_path / "model"))
    named = {"AutoConfig": "somebody/repo--modeling.Config"}
    for name in ("config.json", "tokenizer_config.json"):
        said = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**said, "auto_map": named}), "utf-8")
    merge.whole(folder, None, tmp_path / "out", ())
    for name in ("config.json", "tokenizer_config.json"):
        said = json.loads((tmp_path / "out" / name).read_text("utf-8"))
        assert "auto_map" not in said
        assert said
