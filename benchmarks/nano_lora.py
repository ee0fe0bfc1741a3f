"""Own the LoRA row of nano's table: ``python benchmarks/nano_lora.py --notes 200 --out FILE``.

Adapters on every linear layer (peft, ``all-linear``) are trained on notes of ``toxicity-l``'s train
part and measured on its dev part, with the starting prompt, constrained to the labels. The base
model and the majority label are measured on the same notes. Training uses nano's packed pass.
"""

# ruff: noqa: TID253  (a training entry point: torch is what it is about)
from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.evals.splits import make
from preceptor.evals.task import Task
from preceptor.evals.tasks.toxicity import task_l
from preceptor.nano import encode, model, path, tokenizer
from preceptor.nano.evaluate import Score
from preceptor.nano.generate import Page, Question, Scheme

NOTES_PER_STEP = 1
RATE, RANK = 4e-3, 32


def page(task: Task, example: Example) -> Page:
    """Return a note of the task as a page of one-field questions."""
    questions = []
    for field in task.fields:
        if not isinstance(field, LabelField) or example.gold is None:
            raise TypeError(f"{field.name!r}: only labelled notes with label fields")
        labels = Scheme({}, field.values, dict(field.meanings))
        guide = task.prompt.guide(field.name)
        gold = str(example.gold[field.name])
        questions.append(
            Question(
                field.name, guide.meaning, guide.look_for, guide.rules, labels, (), gold, gold, "U"
            )
        )
    return Page(task.prompt.instruction, task.prompt.rules, example.text, tuple(questions))


def train(net: Any, pages: list[encode.Encoded], epochs: int, seed: int) -> None:
    """Train the adapters of ``net`` on the labels of encoded pages."""
    inner: Any = net.get_base_model()
    matrix = inner.get_input_embeddings().weight.detach()
    params = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(params, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    order = Random(seed)
    steps = epochs * -(-len(pages) // NOTES_PER_STEP)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(epochs):
        shuffled = order.sample(pages, len(pages))
        for start in range(0, len(shuffled), NOTES_PER_STEP):
            batch = model.collate(shuffled[start : start + NOTES_PER_STEP], frame=0.1)
            found = model.states(inner, matrix, batch)[: len(batch.asked)]
            each = F.cross_entropy(found @ matrix.T, batch.targets, reduction="none")
            loss: Any = (each * batch.weights).sum() / batch.weights.sum()
            loss.backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()


def measure(
    net: Any,
    tokens: PreTrainedTokenizerFast,
    pages: list[encode.Encoded],
    labels: Sequence[str],
) -> Score:
    """Return the share of right labels, decoding constrained to the labels' first tokens."""
    first = [tokens(label, add_special_tokens=False)["input_ids"][0] for label in labels]
    matrix = net.get_input_embeddings().weight
    hits = []
    with torch.no_grad():
        for start in range(0, len(pages), 4):
            batch = model.collate(pages[start : start + 4], frame=0.0)
            found = model.states(net, matrix, batch)[: len(batch.asked)]
            logits = found @ matrix[first].T
            said = torch.tensor(first)[logits.argmax(-1)]
            hits += (said == batch.targets).tolist()
    return Score(sum(hits), len(hits))


def run(notes: int, epochs: int, unseen: int, seed: int) -> dict[str, object]:
    """Train and measure; return the figures."""
    from peft import LoraConfig, get_peft_model

    task = task_l()
    by_id = {e.id: e for e in task.examples}
    parts = make(task, seed)
    tokens = tokenizer.load(path())
    labels = task.fields[0].values if isinstance(task.fields[0], LabelField) else ()
    learned = [page(task, by_id[i]) for i in parts.train[:notes]]
    asked = [page(task, by_id[i]) for i in parts.dev[:unseen]]
    golds = Counter(q.gold for p in asked for q in p.questions)
    best = golds.most_common(1)[0][1]
    shown, hidden = encode.encode(learned, tokens), encode.encode(asked, tokens)
    torch.manual_seed(seed)
    net = AutoModelForCausalLM.from_pretrained(
        path(), dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    report: dict[str, object] = {
        "task": task.name,
        "train notes": len(learned),
        "unseen notes": len(asked),
    }
    report["majority"] = Score(best, golds.total()).row()
    report["base"] = measure(net, tokens, hidden, labels).row()
    adapted: Any = get_peft_model(
        net, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    )
    began = time.monotonic()
    train(adapted, shown, epochs, seed)
    report["epochs"], report["train seconds"] = epochs, round(time.monotonic() - began, 1)
    merged = adapted.merge_and_unload()
    report["after LoRA"] = measure(merged, tokens, hidden, labels).row()
    report["after LoRA, on its train notes"] = measure(merged, tokens, shown, labels).row()
    return report


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description="LoRA on notes of one task.")
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--unseen", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = json.dumps(run(args.notes, args.epochs, args.unseen, args.seed), indent=1)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
