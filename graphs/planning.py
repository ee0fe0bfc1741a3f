"""What a run would cost, said before anything is spent.

Owns the arithmetic: which notes a run asks the student about, how often the teacher speaks, and the
price of both. Two figures for everything: *worst* is what the limits allow, *likely* what runs of this
kind took. Fine-tuning is not counted; a price that is not known stays unknown.

The calls of a run, with t, d and x notes in train, dev and test, and c calls per note: the baseline
asks c·d. The starting recipe is diagnosed on all of train: c·t. Each round estimates a candidate on the
part of train that is held out (one of ``folds``): c·t/folds. A look at dev costs c·d; a candidate that
is kept is diagnosed on the rest of train: c·t·(1 − 1/folds). The sealed test is asked of two recipes:
2·c·x. What was answered before comes from the cache.
"""

from __future__ import annotations

import time
from itertools import islice

from preceptor.core import render
from preceptor.core.errors import StudentError
from preceptor.core.ports import Student
from preceptor.core.record import Record
from preceptor.core.records import Call, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.evals.task import Task
from preceptor.graphs import answering, teaching, wiring

LIKELY_LOOKS, LIKELY_KEPT = 0.5, 0.4
"""Per round: how often a candidate is looked at on dev, and how often it is kept or pending."""

LIKELY_TURNS = 2.0
"""Turns of a chat teacher in a round: a look or a correction, and the move."""

LIKELY_TURN_TOKENS = (11_000, 700)
"""Input (a full brief, the tools, what was said before) and output tokens of such a turn."""

CHARS_PER_TOKEN = 4
ANSWER_TOKENS = 12
"""Tokens of one field's answer, roughly."""

GROWTH = 2.0
"""How much longer than the first prompt the prompts of a taught student may get, at worst."""

SAMPLE = 8


class Cost(Record):
    """An amount of everything; None is unknown.

    Attributes:
        student_calls: Requests to the student.
        student_tokens: Input and output tokens of the student (estimated from characters).
        teacher_turns: Requests to the teacher.
        teacher_tokens: Input and output tokens of the teacher.
        dollars: For student and teacher.
        seconds: Of the student's computing; the teacher's time comes on top.
    """

    student_calls: int
    student_tokens: int
    teacher_turns: int
    teacher_tokens: int
    dollars: float | None
    seconds: float | None


class Plan(Record):
    """What a run would cost.

    Attributes:
        task: The task.
        student: The student.
        teacher: The teacher.
        mode: One call per field, or one for all.
        notes: Notes per split.
        calls_per_note: Student calls for one note.
        rounds: The most rounds.
        seconds_per_call: As measured; None if nothing was measured.
        round_likely: One round.
        round_worst: Likewise.
        likely: The whole run.
        worst: The whole run, within the limits of the budget.
        stopped_by: The limits of the budget that the worst case would meet.
        unpriced: Models whose price is not known.
    """

    task: str
    student: str
    teacher: str
    mode: str
    notes: dict[str, int]
    calls_per_note: int
    rounds: int
    seconds_per_call: float | None
    round_likely: Cost
    round_worst: Cost
    likely: Cost
    worst: Cost
    stopped_by: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()


def plan(options: wiring.Options, settings: Settings, measure: bool = False) -> Plan:
    """Return what a run with these options would cost.

    Args:
        options: What ``refine`` would be given.
        settings: For the prices.
        measure: Whether the student may be asked about a few train notes, to time it.

    Raises:
        InputError: If task or split is wrong.
        StudentError: If the student is to be measured and cannot be used.
    """
    task = wiring.load_task(options)
    drawn = splits.make(task, options.seed)
    pace = _measured(options, task, drawn) if measure else None
    sums = _Sums(options, settings, task, drawn, pace)
    rounds = options.limits.rounds
    looks = min(rounds, options.gate.looks)
    likely_rounds = min(rounds, options.limits.plateau + 2)
    likely_looks = min(looks, LIKELY_LOOKS * likely_rounds)
    kept = min(looks, LIKELY_KEPT * likely_rounds)
    worst = sums.cost(sums.whole(rounds, looks, looks), sums.worst_turns * rounds, worst=True)
    bound = options.budget.limits()
    met = tuple(name for name, limit in bound.items() if _amount(worst, name, limit) > limit)
    prices = settings.price_table()
    return Plan(
        task=task.name,
        student=options.student,
        teacher=options.teacher,
        mode=task.mode,
        notes={part: len(drawn.ids(part)) for part in splits.PARTS},
        calls_per_note=sums.per_note,
        rounds=rounds,
        seconds_per_call=pace,
        round_likely=sums.cost(sums.round(LIKELY_LOOKS, LIKELY_KEPT), LIKELY_TURNS),
        round_worst=sums.cost(sums.round(1, 1), sums.worst_turns, worst=True),
        likely=_within(
            sums.cost(sums.whole(likely_rounds, likely_looks, kept), LIKELY_TURNS * likely_rounds),
            bound,
        ),
        worst=_within(worst, bound),
        stopped_by=met,
        unpriced=tuple(m for m in (options.student, options.teacher) if prices.find(m) is None),
    )


class _Sums:
    """The arithmetic over one task."""

    def __init__(
        self,
        options: wiring.Options,
        settings: Settings,
        task: Task,
        drawn: splits.Splits,
        pace: float | None,
    ) -> None:
        self._options = options
        self._prices = settings.price_table()
        self._pace = pace
        self._parts = len(drawn.train), len(drawn.dev), len(drawn.test)
        self._folds = max(1, options.limits.folds)
        recipe = wiring.start_recipe(task, ModelRef(spec=options.student))
        self._recipe = recipe
        self.per_note = 1 if task.mode == "joint" else len(task.fields)
        asked = [call for e in task.examples for call in render.calls(recipe, task.fields, e)]
        chars = sum(len(m.content) for call in asked for m in call.messages)
        self._prompt = chars / max(1, len(asked)) / CHARS_PER_TOKEN
        self._answer = ANSWER_TOKENS * len(task.fields) / self.per_note
        limits = options.limits
        self.worst_turns = (limits.looks_per_round + 1) * limits.breaker

    def round(self, looks: float, kept: float) -> float:
        """Return the student calls of one round."""
        train, dev, _ = self._parts
        held = train / self._folds
        return self.per_note * (held + looks * dev + kept * (train - held))

    def whole(self, rounds: float, looks: float, kept: float) -> float:
        """Return the student calls of a run."""
        train, dev, test = self._parts
        held = train / self._folds
        once = dev + train + 2 * test
        return self.per_note * (once + rounds * held + looks * dev + kept * (train - held))

    def cost(self, calls: float, turns: float, worst: bool = False) -> Cost:
        """Return what so many calls and turns cost."""
        said = self._options.teacher != "rules"
        turns = turns if said else 0
        inputs, outputs = teaching.TURN_TOKENS if worst else LIKELY_TURN_TOKENS
        read = calls * self._prompt * (GROWTH if worst else 1.2)
        written = calls * (self._recipe.decoding.max_tokens if worst else self._answer)
        student = self._prices.cost(self._options.student, read, written)
        teacher = self._prices.cost(self._options.teacher, turns * inputs, turns * outputs)
        return Cost(
            student_calls=round(calls),
            student_tokens=round(read + written),
            teacher_turns=round(turns),
            teacher_tokens=round(turns * (inputs + outputs)),
            dollars=None if student is None or teacher is None else student + teacher,
            seconds=None if self._pace is None else calls * self._pace,
        )


def _amount(cost: Cost, name: str, unknown: float) -> float:
    found = {
        "student_calls": cost.student_calls,
        "teacher_tokens": cost.teacher_tokens,
        "dollars": cost.dollars,
        "compute_seconds": cost.seconds,
    }.get(name)
    return unknown if found is None else found


def _within(cost: Cost, bound: dict[str, float]) -> Cost:
    """Return a cost cut down to the budget's limits, each resource by itself."""

    def cut(name: str, amount: float | None) -> float | None:
        return None if amount is None else min(amount, bound.get(name, amount))

    return cost.model_copy(
        update={
            "student_calls": int(cut("student_calls", cost.student_calls) or 0),
            "teacher_tokens": int(cut("teacher_tokens", cost.teacher_tokens) or 0),
            "dollars": cut("dollars", cost.dollars),
            "seconds": cut("compute_seconds", cost.seconds),
        }
    )


def _measured(options: wiring.Options, task: Task, drawn: splits.Splits) -> float:
    """Return seconds per call over a few train notes, the first of them not counted (loading)."""
    opened = answering.Students(task, options)
    try:
        student = opened.of(Recipe(model=ModelRef(spec=options.student)))
        recipe = wiring.start_recipe(task, student.ref, options.constrained)
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
