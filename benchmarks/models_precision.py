"""What storing a fetched student in 16 bits costs; whether an embedder's vectors depend on the batch.

    preceptor models fetch smollm2-135m; preceptor models fetch all-minilm-l6-v2
    python benchmarks/models_precision.py

The numbers of docs/models.md and docs/adr/0017-models-by-name.md. One thread, about a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from preceptor.core import model_home
from preceptor.evals.task import resolve
from preceptor.tools.rag import sentence

if TYPE_CHECKING:
    import torch

WORDS = (
    "he reports mild rectal bleeding since march no pain denies dysuria nausea after grade two".split()
)


def student(folder: Path, notes: int) -> None:
    """Print how far answers move when matrices are stored in fewer bits than 32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = next(folder.glob("*.gguf")).name
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, trust_remote_code=False
    )
    prompts = []
    for note in resolve("toxicity", None).examples[:notes]:
        turns = [{"role": "user", "content": f"{note.text[:1500]}\nWhich symptoms?"}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        prompts.append(tokenizer(text, return_tensors="pt"))
    exact = {name: weight.clone() for name, weight in model.state_dict().items()}
    with torch.inference_mode():
        whole = [model(**p, output_hidden_states=True) for p in prompts]
        largest = max(float(h.abs().max()) for out in whole for h in out.hidden_states)
        print(f"{sum(o.logits.shape[1] for o in whole):,} tokens, largest activation {largest:,.0f}")
        for kind in (torch.float16, torch.bfloat16):
            coarse = {n: w.to(kind).float() if w.dim() > 1 else w for n, w in exact.items()}
            model.load_state_dict(coarse)
            _compare(str(kind), [o.logits[0] for o in whole], [model(**p).logits[0] for p in prompts])


def _compare(kind: str, exact: list[torch.Tensor], coarse: list[torch.Tensor]) -> None:
    tokens, kl, same, most = 0, 0.0, 0, 0.0
    for one, other in zip(exact, coarse, strict=True):
        p, q = one.log_softmax(-1), other.log_softmax(-1)
        kl += float((p.exp() * (p - q)).sum())
        same += int((one.argmax(-1) == other.argmax(-1)).sum())
        most = max(most, float((one - other).abs().max()))
        tokens += len(one)
    print(
        f"{kind}: KL {kl / tokens:.1e} nats, logits {most:.3f}, same first choice {same / tokens:.2%}"
    )


def embedder(folder: Path, texts: int) -> None:
    """Print how many numbers of vectors change when texts are embedded alone."""
    random = Random(0)
    said = [" ".join(random.choices(WORDS, k=random.randint(3, 40))) for _ in range(texts)]
    for double in (False, True):
        sentence.DOUBLE_UP_TO = 150_000_000 if double else 0
        made = sentence.SentenceEmbedder("st:", folder)
        together, alone = made.embed(said), [made.embed([text])[0] for text in said]
        pairs = [
            (a, b) for x, y in zip(together, alone, strict=True) for a, b in zip(x, y, strict=True)
        ]
        changed = sum(a != b for a, b in pairs)
        print(f"{'fp64' if double else 'fp32'}: {changed:,} of {len(pairs):,} numbers change")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=8)
    parser.add_argument("--texts", type=int, default=256)
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    student(model_home.locate("smollm2-135m"), asked.notes)
    embedder(model_home.locate("all-minilm-l6-v2", kind="embedder"), asked.texts)


if __name__ == "__main__":
    main()
