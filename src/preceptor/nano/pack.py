"""Own the packing of trained weights: ``python -m preceptor.nano.pack RUN/model``.

Weights are stored in half precision; the folder is what transformers, llama.cpp and Ollama read.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from preceptor.nano import path

LIMIT = 20_000_000
COPIED = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def pack(model: Path, out: Path) -> int:
    """Write a trained model the way it is shipped.

    Args:
        model: The folder a training run wrote.
        out: The folder to ship; its README is left alone.

    Returns:
        The size of the folder in bytes.

    Raises:
        ValueError: If it is larger than a package may be.
    """
    import torch
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float16, trust_remote_code=False, use_safetensors=True
    )
    out.mkdir(parents=True, exist_ok=True)
    net.save_pretrained(out)
    config = out / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    # Importers older than rope_parameters read the base at the top level.
    settings["rope_theta"] = settings["rope_parameters"]["rope_theta"]
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    for name in COPIED:
        shutil.copyfile(model / name, out / name)
    for file in out.iterdir():
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in out.iterdir())
    if size > LIMIT:
        raise ValueError(f"{out}: {size} bytes, more than {LIMIT}")
    return size


def main() -> None:
    """Pack from the command line."""
    parser = argparse.ArgumentParser(description="Pack nano's weights for shipping.")
    parser.add_argument("model", type=Path, help="folder a training run wrote (DIR/model)")
    parser.add_argument("--out", type=Path, default=path(), help="folder to ship")
    args = parser.parse_args()
    print(pack(args.model, args.out), "bytes")


if __name__ == "__main__":
    main()
