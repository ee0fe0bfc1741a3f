"""How fast a training is beside a plain TRL script with the same data and hyper-parameters.

Median and range of interleaved repetitions, each on the same rows: a plain script (messages, TRL's own
tokenising, batching and loss), our job reading row by row as the plain script does, our job as it is
(what a note's rows share is read once), and the latter with bfloat16 products. The losses of the first
two are compared step by step. The embedded student is trained on notes of ``toxicity``.

    python benchmarks/sft_throughput.py > docs/results/sft_throughput.md
"""

# ruff: noqa: TID253  (training is what it is about)
from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from transformers.utils import logging

from preceptor import nano
from preceptor.core.files import compact
from preceptor.core.record import digest
from preceptor.core.records import ModelRef, Recipe
from preceptor.evals.splits import make
from preceptor.evals.tasks.toxicity import task
from preceptor.tools.sft import base, bundles, data, train
from preceptor.tools.sft.job import DATA, JOB, PATHS, Base, Hyper, Job, Limits, Paths
from preceptor.tools.sft.place import Place

HYPER = Hyper(
    epochs=1, batch=16, rate=2e-3, validation=0, patience=0, frame=1.0, share=False, bf16=False
)


@dataclass(frozen=True)
class Measured:
    """Tokens of rows per second, and the loss of each step."""

    speed: float
    losses: tuple[float, ...]


def rows_of(notes: int) -> list[data.Row]:
    """Return the rows of some train notes."""
    chosen = task()
    by_id = {e.id: e for e in chosen.examples}
    recipe = Recipe(model=ModelRef(spec="nano"), prompt=chosen.prompt)
    return data.rows(recipe, chosen.fields, [by_id[i] for i in make(chosen).train[:notes]])


def ours(rows: Sequence[data.Row], threads: int, **changed: bool) -> Measured:
    """Train with a job of ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = data.dump(rows)
        job = Job(
            base=Base(spec="nano", digest=base.model_digest(nano.path())),
            data=digest(raw),
            rows=len(rows),
            hyper=HYPER.model_copy(update=changed),
            limits=Limits(seconds=1e6, checkpoint_seconds=1e6),
        )
        (folder / DATA).write_bytes(raw)
        (folder / JOB).write_text(job.to_json())
        (folder / PATHS).write_bytes(compact(Paths(base=str(nano.path())).model_dump(mode="json")))
        os.environ["OMP_NUM_THREADS"] = str(threads)
        result = train.run(Place.read(folder))
        return Measured(result.tokens / result.seconds, result.losses)


def plain(rows: Sequence[data.Row], threads: int) -> Measured:
    """Train with TRL as its documentation shows, in the order of batches that ours has."""
    from datasets import Dataset  # type: ignore[import-untyped]
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(nano.path(), trust_remote_code=False)
    sizes = [
        len(tokenizer.apply_chat_template([*map(dict, r.prompt), said(r)], return_dict=False))
        for r in rows
    ]
    read = [rows[i] for i in bundles.order(sizes, HYPER.batch or 1, 0, 0)]
    set_seed(0)
    model = AutoModelForCausalLM.from_pretrained(
        nano.path(), dtype=torch.float32, trust_remote_code=False, use_safetensors=True
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer: Any = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=HYPER.batch or 1,
                learning_rate=HYPER.rate or 0.0,
                lr_scheduler_type="cosine",
                warmup_steps=HYPER.warmup,
                seed=0,
                train_sampling_strategy="sequential",
                use_cpu=True,
                bf16=False,
                activation_checkpointing=False,
                max_length=None,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": list(r.prompt), "completion": [said(r)]} for r in read]
            ),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=HYPER.rank,
                lora_alpha=HYPER.alpha,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
        trainer.remove_callback(PrinterCallback)
        begun = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begun
    found = tuple(float(e["loss"]) for e in trainer.state.log_history if "loss" in e)
    return Measured(sum(sizes) / seconds, found)


def said(row: data.Row) -> dict[str, str]:
    """Return the answer of a row as a chat turn."""
    return {"role": "assistant", "content": row.answer}


def shown(values: Sequence[float], digits: int) -> str:
    """Return median and range."""
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.simplefilter("ignore")
    rows = rows_of(asked.notes)
    arms: dict[str, Callable[[], Measured]] = {
        "plain TRL script": lambda: plain(rows, asked.threads),
        "our job, row by row": lambda: ours(rows, asked.threads),
        "our job": lambda: ours(rows, asked.threads, share=True),
        "our job, bfloat16 products": lambda: ours(rows, asked.threads, share=True, bf16=True),
    }
    found: dict[str, list[Measured]] = {name: [] for name in arms}
    for _ in range(asked.repeats):
        for name, arm in arms.items():
            found[name].append(arm())
    first, second = (found[name][0].losses for name in list(arms)[:2])
    apart = max(abs(a - b) for a, b in zip(first, second, strict=True))
    print("# How fast training is\n")
    print(
        f"Written by `benchmarks/sft_throughput.py`: median (range) of {asked.repeats} interleaved "
        f"repetitions, {len(rows)} rows\nof {asked.notes} notes of `toxicity`, the embedded student, "
        f"LoRA of rank {HYPER.rank}, {asked.threads} thread(s); load of the machine "
        f"{os.getloadavg()[0]:.1f}\non {os.cpu_count()} cores. Tokens are those of the rows, however "
        "often they are computed; loading is not counted.\n"
    )
    print("| what | tokens/s | beside the plain script |\n| --- | ---: | ---: |")
    base_line = [m.speed for m in found["plain TRL script"]]
    for name, several in found.items():
        ratios = [m.speed / one for m, one in zip(several, base_line, strict=True)]
        print(f"| {name} | {shown([m.speed for m in several], 0)} | {shown(ratios, 2)} |")
    same = all(len({m.losses for m in several}) == 1 for several in found.values())
    print(
        f"\nLosses of the first two, step by step: {len(first)} steps, at most {apart:.1e} apart.\n"
        f"Each arm's losses were {'the same' if same else 'not the same'} in every repetition."
    )


if __name__ == "__main__":
    main()
