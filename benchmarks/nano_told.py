"""How well nano reads the synthetic notes when it is told what to look for.

    python benchmarks/nano_told.py --out benchmarks/nano_results/told.json [--model FOLDER]

Notes of ``toxicity-l``'s dev part; the hints are the generator's own phrases, which no teacher knows:
none, the first few, all of them, or just those that stand in the note. It is a bound for what hints can
do, and no result of a refinement.
"""

# ruff: noqa: TID253  (a study of weights: torch is what it is about)
from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.nano_lora import measure, page
from preceptor.core.fields import LabelField
from preceptor.evals.splits import make
from preceptor.evals.tasks.toxicity import task_l
from preceptor.evals.tasks.toxicity.lexicon import SYMPTOMS
from preceptor.nano import encode, path, tokenizer
from preceptor.nano.generate import Page

FORMS = {symptom.name: symptom.forms for symptom in SYMPTOMS}
HINTS: dict[str, int | None] = {
    "no hints": 0,
    "the 5 commonest phrases": 5,
    "the 10 commonest phrases": 10,
    "all phrases": 99,
    "the phrases that stand in the note": None,
}


def told(asked: Page, most: int | None) -> Page:
    """Return a page whose questions carry phrases to look for."""
    note = asked.note.lower()
    questions = []
    for question in asked.questions:
        forms = FORMS[question.name]
        found = tuple(f for f in forms if f in note) or forms[:3]
        questions.append(replace(question, hints=found if most is None else forms[:most]))
    return replace(asked, questions=tuple(questions))


def run(folder: Path, notes: int) -> dict[str, object]:
    """Return the share of right fields under each kind of hints."""
    task = task_l()
    by_id = {e.id: e for e in task.examples}
    tokens = tokenizer.load(folder)
    first = task.fields[0]
    labels = first.values if isinstance(first, LabelField) else ()
    net: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    pages = [page(task, by_id[i]) for i in make(task, 0).dev[:notes]]
    return {
        name: measure(net, tokens, encode.encode([told(p, most) for p in pages], tokens), labels).row()
        for name, most in HINTS.items()
    }


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=path(), help="folder of weights")
    parser.add_argument("--notes", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    text = json.dumps(run(args.model, args.notes), indent=1)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
