"""Own ``docs/results/extract_speed.md``: the student in process beside what a user would write.

    python benchmarks/extract_speed.py --peers PYTHON --dev 60 > docs/results/extract_speed.md

``PYTHON`` is the interpreter of an environment with ``xllamacpp`` and ``langextract[openai]``; without
it those rows say that they were not measured. The model must be there: preceptor models fetch
smollm2-135m. All arms are asked about the same notes, one after the other, round by round, in another
order each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preceptor.agents.students import StudentOptions
from preceptor.agents.students.hf import HFStudent
from preceptor.agents.students.openai import OpenAIStudent
from preceptor.core import model_home, parse, render
from preceptor.core.cache import AnswerCache
from preceptor.core.ports import Student
from preceptor.core.records import Example, ModelRef, Precision, Recipe
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.evals.splits import make
from preceptor.evals.tasks.toxicity import task

NAME = "smollm2-135m"
TASK = task()
HERE = Path(__file__).parent
OURS, SHORT = "Preceptor, in process", "Preceptor, in process, `bf16`"
LOOP, BATCH, JOINT = "loop", "loop, a note's fields as one batch", "loop, one joint call per note"
PEER, SERVED = "LangExtract, llama.cpp (Q4_1)", "Preceptor's `openai:`, llama.cpp (Q4_1)"
NOT = "not measured (no `--peers`)"


@dataclass
class Took:
    """What an arm needed for a round's notes: tokens that the model computed, fields with a value."""

    seconds: float = 0.0
    cpu: float | None = None
    read: int | None = None
    whole: int | None = None


Arm = Callable[[Sequence[Example]], Took]


@dataclass
class Counted:
    """Counts the tokens that a model in process computes, padding and all."""

    total: int = 0

    def on(self, model: Any) -> None:
        """Count what passes a model's embedding."""
        model.get_input_embeddings().register_forward_hook(self._add)

    def _add(self, _: object, given: tuple[Any, ...], __: object) -> None:
        self.total += int(given[0].numel())


def recipe(precision: Precision = "auto", mode: str = "per_field") -> Recipe:
    """Return the untouched student."""
    model = ModelRef(spec=f"hf:{NAME}", precision=precision)
    return Recipe(model=model, prompt=TASK.prompt, mode="joint" if mode == "joint" else "per_field")


def in_process(precision: Precision, threads: int, batch: int | None = None) -> HFStudent:
    """Return the student as ``preceptor extract`` makes it."""
    options = StudentOptions(threads=threads, device="cpu")
    if batch:
        options = StudentOptions(threads=threads, device="cpu", batch_tokens=batch)
    return HFStudent(str(model_home.locate(NAME, None)), recipe(precision).model, options=options)


def asked(student: Student, notes: Sequence[Example], precision: Precision = "auto") -> list[Any]:
    """Return the answers that ``preceptor extract`` would get, by the evaluator that it asks."""
    with tempfile.TemporaryDirectory() as name, AnswerCache(Path(name) / "a.db") as cache:
        evaluator = CachedEvaluator(EvaluatorSettings(TASK.fields), lambda _: student, cache)
        return list(evaluator.answers(recipe(precision), notes))


def ours(student: Student, counted: Counted, precision: Precision) -> Arm:
    """Return the arm of a student of ours."""

    def run(notes: Sequence[Example]) -> Took:
        counted.total = 0
        found = asked(student, notes, precision)
        return Took(read=counted.total, whole=sum(len(a.record or {}) for a in found))

    return run


def said(text: str) -> int:
    """Return how many fields of an answer of the loop hold a value that was asked for."""
    try:
        got = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return 0
    if not isinstance(got, dict):
        return 0
    fields = tuple(f for f in TASK.fields if f.name in got)
    record, _ = parse.read(json.dumps(got), fields)
    return len(record or {})


class Loop:
    """Transformers as its guide shows it: a template, ``generate``, ``json.loads``."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = model_home.locate(NAME, None)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(
            folder, padding_side="left", trust_remote_code=False
        )
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
        self.counted = Counted()
        self.counted.on(self.model)
        gold = [e.gold for e in TASK.examples if e.gold]
        # The longest right answer and the token that ends it: the loop writes no more than it must.
        self.most = 1 + max(self._size({f: g[f]}) for g in gold for f in g)
        self.most_joint = 1 + max(map(self._size, gold))

    def _size(self, answer: dict[str, Any]) -> int:
        return len(self.tokenizer(json.dumps(answer)).input_ids)

    def arm(self, mode: str = "per_field", together: bool = False) -> Arm:
        """Return an arm: prompt by prompt, or a note's prompts ``together``."""

        def run(notes: Sequence[Example]) -> Took:
            self.counted.total = 0
            texts: list[str] = []
            for note in notes:
                calls = render.calls(recipe(mode=mode), TASK.fields, note)
                prompts = [[{"role": m.role, "content": m.content} for m in c.messages] for c in calls]
                step = len(prompts) if together else 1
                for at in range(0, len(prompts), step):
                    texts += self._generate(prompts[at : at + step], mode)
            return Took(read=self.counted.total, whole=sum(map(said, texts)))

        return run

    def _generate(self, prompts: list[Any], mode: str) -> list[str]:
        import torch

        given = self.tokenizer.apply_chat_template(
            prompts, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        most = self.most_joint if mode == "joint" else self.most
        with torch.no_grad():
            out = self.model.generate(
                **given, max_new_tokens=most, do_sample=False, pad_token_id=self.tokenizer.eos_token_id
            )
        new = out[:, given["input_ids"].shape[1] :]
        return list(self.tokenizer.batch_decode(new, skip_special_tokens=True))


class Peers:
    """The process with llama.cpp's server and LangExtract."""

    def __init__(self, python: str, threads: int) -> None:
        file = next(model_home.locate(NAME, None).glob("*.gguf"))
        command = [python, str(HERE / "extract_speed_peer.py"), str(file), str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = str(self._told()["url"])
        options = StudentOptions(parallel=1)
        self.student = OpenAIStudent("local", self.url, options)

    def _told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def tokens(self) -> int:
        """Return what the server says that it has read and written so far."""
        import httpx

        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        found = dict(line.split()[:2] for line in lines if not line.startswith("#"))
        names = "llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"
        return sum(int(float(found[name])) for name in names)

    def langextract(self, notes: Sequence[Example]) -> Took:
        """Ask about notes in one call each; a note with any value counts as whole."""
        assert self.process.stdin is not None
        before = self.tokens()
        values = list(getattr(TASK.fields[0], "values", ()))
        texts = [n.text for n in notes]
        body = {"fields": [f.name for f in TASK.fields], "values": values, "notes": texts}
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()
        whole = int(self._told()["whole"])
        return Took(read=self.tokens() - before, whole=whole)

    def served(self, notes: Sequence[Example]) -> Took:
        """Ask the same server with a student of ours, field by field."""
        before = self.tokens()
        found = asked(self.student, notes)
        whole = sum(len(a.record or {}) for a in found)
        return Took(read=self.tokens() - before, whole=whole)


@contextmanager
def peers(python: str, threads: int) -> Iterator[dict[str, Arm]]:
    """Give the arms that ask a server, none if there is no interpreter."""
    if not python:
        yield {}
        return
    other = Peers(python, threads)
    try:
        yield {SERVED: other.served, PEER: other.langextract}
    finally:
        assert other.process.stdin is not None
        other.process.stdin.close()
        other.process.wait(30)


@dataclass
class Measured:
    """All rounds of all arms."""

    rounds: dict[str, list[Took]] = field(default_factory=dict)
    notes: int = 0

    def row(self, name: str, base: str) -> str:
        """Return an arm's line: medians over rounds, ratios to ``base`` round by round."""
        if name not in self.rounds:
            return f"| {name} | {NOT} | | | | |"
        mine, theirs = self.rounds[name], self.rounds[base]
        pace = statistics.median(self.notes / one.seconds for one in mine)
        ratios = [b.seconds / a.seconds for a, b in zip(mine, theirs, strict=True)]
        wall = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        cpu = ""
        if mine[0].cpu and theirs[0].cpu:
            used = [(b.cpu or 0) / (a.cpu or 1) for a, b in zip(mine, theirs, strict=True)]
            cpu = f"{statistics.median(used):.1f}"
        read = sum(one.read or 0 for one in mine) / (self.notes * len(mine))
        whole = sum(one.whole or 0 for one in mine) / (self.notes * len(mine))
        shown = f"{whole:.1f} of {len(TASK.fields)}" if name != PEER else f"any in {whole:.0%} of notes"
        return f"| {name} | {pace:.2f} | {wall} | {cpu} | {read:,.0f} | {shown} |"


def measure(arms: dict[str, Arm], notes: Sequence[Example], rounds: int) -> Measured:
    """Ask all arms about the same notes, round by round, in a rotating order."""
    each = len(notes) // rounds
    found = Measured({name: [] for name in arms}, each)
    names = list(arms)
    for number in range(rounds):
        mine = notes[number * each : (number + 1) * each]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun, used = time.perf_counter(), time.process_time()
            took = arms[name](mine)
            took.seconds = time.perf_counter() - begun
            took.cpu = None if name in (PEER, SERVED) else time.process_time() - used
            found.rounds[name].append(took)
    return found


def agreement(notes: Sequence[Example], threads: int) -> str:
    """Return the table of what a precision changes; against fp32 in batches of the usual size."""
    base: dict[tuple[str, str], tuple[Any, float]] = {}
    rows = []
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        for batch in (None, 2048):
            answers = asked(in_process(precision, threads, batch), notes, precision)
            got = {
                (a.example_id, name): (value, (a.confidence or {})[name])
                for a in answers
                for name, value in (a.record or {}).items()
            }
            base = base or got
            same = sum(got[k][0] == base[k][0] for k in base) / len(base)
            off = [abs(got[k][1] - base[k][1]) for k in base if got[k][0] == base[k][0]]
            scores = [
                (a.record or {}).get(name) == right
                for n, a in zip(notes, answers, strict=True)
                for name, right in (n.gold or {}).items()
            ]
            rows.append(
                f"| {precision} | {'2,048' if batch else 'as always'} | {same:.2%} | "
                f"{statistics.mean(off):.4f}, {max(off):.4f} | {statistics.mean(scores):.3f} |"
            )
    return "\n".join(rows)


PAGE = """# Speed of students in process

Written by `benchmarks/extract_speed.py`: SmolLM2 135M (`hf:{name}`), the {fields} label fields of
`toxicity`, the task's own prompts, {rounds} rounds of {each} dev notes, {threads} thread(s) each, one
arm after the other, in a rotating order. The machine (two cores with bfloat16 instructions) was
shared, its load {load:.1f}: compare ratios, which are of what ran within the same minutes, or CPU
time, which other work disturbs less.

| | notes/s | times the loop's pace | by CPU time | tokens per note | fields with a value |
| --- | ---: | ---: | ---: | ---: | ---: |
{rows}

Medians over rounds, in brackets the range. *Loop*: for each note and field `apply_chat_template`,
`model.generate(do_sample=False)` in fp32 and `json.loads`, with no more new tokens than the longest
right answer has ({most}; {most_joint} in a joint call). Without a grammar this model, untouched,
writes prose where JSON is asked for, whatever the limit: the loop is here for its pace. *Tokens* are
all that the model computed, padding and what it wrote included; of llama.cpp's server, what it counts
itself. That server keeps the last prompt, so that it reads a note once for its fields; it computes
with the 4-bit weights that the others have in 16 bits. LangExtract asks once per note, with one
worked example, for spans rather than a value per field; what it could not parse counts as nothing
found. DSPy was not tried.

## What a precision changes

The same student on {dev} dev notes, {answers} answers; compared with fp32 in batches of the usual
size.

| precision | batches, tokens | same answer | difference of probability, mean, largest | accuracy |
| --- | --- | ---: | ---: | ---: |
{agree}

An untouched model of this size is often undecided between labels: that is where answers change. In
`bf16` an answer may also depend, by rounding, on which notes are read together.
"""


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--notes", type=int, default=4, help="per round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dev", type=int, default=60, help="notes to compare precisions on")
    parser.add_argument("--peers", default="", help="an interpreter with xllamacpp and langextract")
    told = parser.parse_args()
    dev = make(TASK).examples(TASK, "dev")
    plain = Loop()
    students = {p: in_process(p, told.threads) for p in ("auto", "bf16")}
    counts = {p: Counted() for p in students}
    for p, student in students.items():
        counts[p].on(student._loaded.model)
        list(student.complete(render.calls(recipe(), TASK.fields, dev[-1])))
    with peers(told.peers, told.threads) as served:
        arms = {
            OURS: ours(students["auto"], counts["auto"], "auto"),
            SHORT: ours(students["bf16"], counts["bf16"], "bf16"),
            LOOP: plain.arm(),
            BATCH: plain.arm(together=True),
            JOINT: plain.arm("joint"),
            **served,
        }
        found = measure(arms, dev[: told.rounds * told.notes], told.rounds)
    rows = [found.row(name, LOOP) for name in (OURS, SHORT, LOOP, BATCH, JOINT, SERVED, PEER)]
    notes = dev[: told.dev]
    print(
        PAGE.format(
            name=NAME,
            fields=len(TASK.fields),
            rounds=told.rounds,
            each=told.notes,
            threads=told.threads,
            load=os.getloadavg()[0],
            rows="\n".join(rows),
            most=plain.most,
            most_joint=plain.most_joint,
            dev=len(notes),
            answers=len(notes) * len(TASK.fields),
            agree=agreement(notes, told.threads),
        ),
        end="",
    )


if __name__ == "__main__":
    main()
