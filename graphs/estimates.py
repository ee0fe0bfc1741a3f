"""What a teacher's turn, a training and an index would take, told from the task itself.

Owns these estimates; ``graphs.planning`` adds them up. The brief of a turn is a real one, written for a
student that finds nothing: who errs less has a shorter one. The speed of a training is a documented
rate on one thread of a CPU (docs/results/sft_throughput.md), scaled by the model's size.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path

from preceptor import nano
from preceptor.agents import brief, chat
from preceptor.agents.teacher import TeacherOptions
from preceptor.core import render
from preceptor.core.errors import InputError, StudentError
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Evidence, Student, ToolSpec
from preceptor.core.records import Answer, Call, Example, ModelRef, Recipe, Situation, ToolCall
from preceptor.core.settings import Settings
from preceptor.evals import findings, scorers
from preceptor.evals.metrics import resampling
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs import answering, judged, moves, starting, teaching, training, weak, wiring
from preceptor.graphs.session import folds
from preceptor.tools.distill.label import LabelExamples
from preceptor.tools.sft import base
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.data import FEWEST_NOTES, load
from preceptor.tools.sft.faces import Faces
from preceptor.tools.sft.finetune import FEWEST, FineTune
from preceptor.tools.sft.job import Job
from preceptor.tools.sft.options import NEEDED, FineTuneOptions
from preceptor.tools.sft.probing import SHARE
from preceptor.tools.toolbox import Toolbox

CHARS_PER_TOKEN = 4

SAID_TOKENS = 150
"""Input tokens of a turn beside brief, tools and results: frames, the teacher's own earlier call."""

TRAIN_RATE = 4_900.0
"""Tokens per second that one thread of a CPU trains a model of ``TRAIN_BYTES`` on, row by row."""

TRAIN_BYTES = 5_260_000
"""The weights of that model, on disk."""

STARTING_SECONDS = 8.0
"""What a training takes before its first step: a process, its libraries, the model."""


@dataclass(frozen=True)
class Training:
    """One training of the usual kind.

    Attributes:
        notes: It learns from.
        rows: One per call that is asked about them.
        tokens: Of all rows, over all epochs.
        seconds: With loading; None if the weights are not on this machine.
        longest: The most seconds that one may take.
        refused: Why none will be made, empty if nothing is in the way.
    """

    notes: int
    rows: int
    tokens: int
    seconds: float | None
    longest: float
    refused: str = ""


def shown(options: wiring.Options, task: Task, drawn: Splits) -> list[Example]:
    """Return the train notes that a teacher is shown in the first round."""
    train = list(drawn.examples(task, "train"))
    held = folds(train, options.limits.folds, drawn.seed)[0]
    return [e for e in train if e.id not in held] or train


def _specs(options: wiring.Options, task: Task, drawn: Splits) -> tuple[Toolbox, list[ToolSpec]]:
    tuner = FineTune(Path(), Faces(nano=nano.path()))
    free = [e for e in task.examples if e.id in set(drawn.unlabelled)]
    labeller = LabelExamples(free, weak.voters(task)) if free else None
    box = moves.toolbox(None, options, None, tuner, labeller)
    return box, [*box.specs(), teaching.FINISH]


def _nothing(field: FieldSpec) -> object:
    return field.default if field.kind == "label" else []


def evidence(options: wiring.Options, task: Task, drawn: Splits, recipe: Recipe) -> Evidence:
    """Return what a teacher would see of a student that finds nothing."""
    notes = tuple(shown(options, task, drawn))
    said = {f.name: _nothing(f) for f in task.fields}
    answers = tuple(Answer.model_validate({"example_id": e.id, "record": said}) for e in notes)
    own = judged.of(options.metric, task, drawn).function
    both = zip(notes, answers, strict=True)
    scored = tuple(scorers.score_answer(e, a, task.fields, own) for e, a in both)
    return Evidence(task.fields, recipe, notes, answers, scored)


def turn_tokens(options: wiring.Options, task: Task, drawn: Splits, recipe: Recipe) -> int:
    """Return the input tokens of a chat teacher's turn: half of them follow a look at the errors."""
    seen = evidence(options, task, drawn, recipe)
    box, tools = _specs(options, task, drawn)
    metric = judged.of(options.metric, task, drawn)
    score = resampling.interval(metric.statistic, seen.scored)
    situation = Situation(
        round=1,
        rounds_left=options.limits.rounds - 1,
        looks_left=options.gate.looks,
        score=score,
        metric=metric.name,
        dev=score,
        fields=resampling.field_intervals(metric.statistic, seen.scored),
        findings=findings.diagnose(seen.examples, seen.answers, seen.fields, recipe.prompt),
        money=options.budget.limits(),
    )
    texts = brief.brief(situation, seen, tools, TeacherOptions().brief_tokens)
    looked = box.run(ToolCall(id="1", name="errors_by_field"), seen).text
    sent = json.dumps([chat.bound(tool) for tool in tools], ensure_ascii=False)
    chars = sum(map(len, texts)) + len(sent) + len(looked) // 2
    return chars // CHARS_PER_TOKEN + SAID_TOKENS


def a_training(
    options: wiring.Options,
    task: Task,
    drawn: Splits,
    recipe: Recipe,
    settings: Settings | None = None,
) -> Training | None:
    """Return the usual training of this student, None where the move is not offered."""
    if not moves.allows(options, "fine_tune", settings):
        return None
    seen = evidence(options, task, drawn, recipe)
    notes = [e for e in seen.examples if e.gold is not None]
    limits = training.limits(settings)
    longest = limits.seconds
    refused = _refused(options, task, drawn, notes)
    given = FineTuneOptions(training.guard(task, drawn), limits=limits)
    tuner = FineTune(Path(), training.faces(settings), given)
    try:
        job, data, _ = tuner.prepare(FineTuneArgs(), seen)
    except InputError as why:
        return Training(len(notes), 0, 0, None, longest, refused or why.message)
    tokens, _ = _tokens(data)
    return Training(
        notes=len(notes),
        rows=job.rows,
        tokens=job.hyper.epochs * tokens,
        seconds=training_seconds(job, data, tuner.weights(recipe)),
        longest=longest,
        refused=refused,
    )


def training_seconds(job: Job, data: bytes, weights: Path) -> float:
    """Return how long a training takes on this machine, with loading.

    Args:
        job: What is trained.
        data: Its rows.
        weights: The folder of the base model.
    """
    rate = TRAIN_RATE * TRAIN_BYTES / max(base.model_bytes(weights), 1)
    trying = 1 + SHARE * job.hyper.probe
    seconds = trying * job.hyper.epochs * _tokens(data)[1] / rate
    return min(STARTING_SECONDS + seconds, job.limits.seconds)


def _tokens(data: bytes) -> tuple[int, int]:
    """Return the tokens of a training's rows, and of what is computed: what rows share only once."""
    tokens = computed = 0
    for _, rows in groupby(load(data), key=lambda row: row.id):
        texts = ["\n".join(turn["content"] for turn in row.prompt) for row in rows]
        sizes = [len(text) // CHARS_PER_TOKEN + 12 for text in texts]
        common = _shared(texts) // CHARS_PER_TOKEN
        tokens += sum(sizes)
        computed += sum(sizes) - (len(texts) - 1) * common
    return tokens, computed


def _shared(texts: list[str]) -> int:
    """Return how many characters all texts begin with."""
    first, last = min(texts), max(texts)
    unlike = (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return next(unlike, len(first))


def _refused(options: wiring.Options, task: Task, drawn: Splits, notes: list[Example]) -> str:
    least = FEWEST if options.teacher == "rules" else FEWEST_NOTES
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return f"training needs more packages: {', '.join(missing)}"
    if len(notes) < least:
        return f"{len(notes)} shown notes are too few to train on ({least} at least)"
    try:
        training.guard(task, drawn).check(notes)
    except InputError as why:
        return why.message
    return ""


def hits_tokens(options: wiring.Options, task: Task, drawn: Splits) -> float:
    """Return the prompt tokens that retrieved examples add to a call, 0 where no index is built."""
    if not moves.allows(options, "index_examples"):
        return 0.0
    texts = [e.text for e in shown(options, task, drawn)]
    sentences = [s for text in texts for s in text.replace("\n", ". ").split(". ") if s.strip()]
    mean = sum(map(len, sentences)) / max(1, len(sentences))
    return HITS * (mean + 12) / CHARS_PER_TOKEN


HITS = 2.0
"""Worked examples in a call of an indexed student, on the average: many calls find fewer than asked."""


SAMPLE = 8
"""Train notes that a student is timed on."""


def pace(options: wiring.Options, task: Task, drawn: Splits) -> float:
    """Return seconds per call over a few train notes, the first of them not counted (loading)."""
    opened = answering.Students(task, options)
    try:
        student = opened.of(Recipe(model=ModelRef.asked(options.student, options.precision)))
        recipe = starting.untouched(task, student, options)
        notes = list(islice(drawn.examples(task, "train"), SAMPLE + 1))
        asked = [render.calls(recipe, task.fields, note) for note in notes]
        _ask(student, asked[0])
        rest = [call for calls in asked[1:] for call in calls] or asked[0]
        begun = time.perf_counter()
        _ask(student, rest)
        return (time.perf_counter() - begun) / len(rest)
    finally:
        opened.close()


def _ask(student: Student, calls: list[Call]) -> None:
    replies = list(student.complete(calls))
    if replies and all(reply.status == "failed" for reply in replies):
        raise StudentError(f"no sample call was answered: {replies[0].error}", "preceptor doctor")
