"""What a run would cost, said before anything is spent.

Owns the arithmetic: which notes a run asks the student about, how often the teacher speaks, how often
it trains, and the price of all that. Two figures for everything: *worst* is what the limits allow,
*likely* what runs of this kind took. What one turn, one training and one index take is told by
``graphs.estimates``; a price that is not known stays unknown.

The calls of a run, with t, d and x notes in train, dev and test, and c calls per note: the baseline
asks c·d. The starting recipe is diagnosed on all of train: c·t. Each round estimates a candidate on the
part of train that is held out (one of ``folds``): c·t/folds. A look at dev costs c·d; a candidate that
is kept is diagnosed on the rest of train: c·t·(1 − 1/folds). The sealed test is asked of two recipes:
2·c·x. What was answered before comes from the cache.
"""

from __future__ import annotations

from preceptor.core import render
from preceptor.core.records import ModelRef
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.evals.task import Task
from preceptor.graphs import (
    estimates,
    exploring,
    judged,
    labelling,
    reserve,
    starting,
    teaching,
    wiring,
)
from preceptor.graphs.costs import Cost, Labels, Plan
from preceptor.tools.distill.label import USUAL as LABELLED

LIKELY_LOOKS, LIKELY_KEPT = 0.5, 0.4
"""Per round: how often a candidate is looked at on dev, and how often it is kept or pending."""

LIKELY_TURNS = 2.0
"""Turns of a chat teacher in a round: a look or a correction, and the move."""

LIKELY_TURN_WRITES = 300
"""Output tokens of such a turn: one call with its arguments."""

OTHERS_FIRST = 3
"""Rounds of the rule teacher in which moves that promise more than a training may come before it."""

INDEXED = 0.5
"""The part of a run's calls that are asked with retrieved examples, where an index may be built."""

CHARS_PER_TOKEN = 4
ANSWER_TOKENS = 12
"""Tokens of one field's answer, roughly."""

GROWTH = 2.0
"""How much longer than the first prompt the prompts of a taught student may get, at worst."""


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
    exploring.check(options, task, drawn)
    wiring.check_names(options, settings)
    metric = judged.of(options.metric, task, drawn)
    model = ModelRef.asked(options.student, options.precision)
    start = starting.recipe(task, model, max_tokens=options.max_tokens)
    reserve.held_back(options, task, drawn, settings.price_table(), start)
    pace = estimates.pace(options, task, drawn) if measure else None
    sums = _Sums(options, settings, task, drawn, pace)
    rounds = options.limits.rounds
    looks = min(rounds, options.gate.looks)
    likely_rounds, trainings = sums.likely_rounds(), sums.trainings()
    likely_looks = min(looks, LIKELY_LOOKS * likely_rounds)
    kept = min(looks, LIKELY_KEPT * likely_rounds)
    worst = sums.cost(
        sums.whole(rounds, looks, looks), sums.worst_turns * rounds, trainings[1], worst=True
    )
    bound = options.budget.limits()
    likely = sums.cost(
        sums.whole(likely_rounds, likely_looks, kept), LIKELY_TURNS * likely_rounds, trainings[0]
    )
    return Plan(
        task=task.name,
        student=options.student,
        teacher=options.teacher,
        metric=metric.name,
        mode=task.mode,
        notes={part: len(drawn.ids(part)) for part in splits.PARTS},
        calls_per_note=sums.per_note,
        rounds=rounds,
        likely_rounds=likely_rounds,
        seconds_per_call=pace,
        round_likely=sums.cost(
            sums.round(LIKELY_LOOKS, LIKELY_KEPT), LIKELY_TURNS, trainings[0] / max(1, likely_rounds)
        ),
        round_worst=sums.cost(sums.round(1, 1), sums.worst_turns, min(1, trainings[1]), worst=True),
        likely=_within(likely, bound),
        worst=_within(worst, bound),
        stopped_by=_met(worst, bound),
        likely_stopped_by=_met(likely, bound),
        unpriced=sums.unpriced(),
        turn_tokens=sums.turn,
        training=sums.refused,
        labels=sums.labels(settings),
        max_tokens=start.decoding.max_tokens,
        tight=starting.remark(start, task, drawn.examples(task, "train")),
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
        tested = exploring.untested(options, drawn).test
        self._parts = len(drawn.train), len(drawn.dev), len(tested)
        self._folds = max(1, options.limits.folds)
        model = ModelRef.asked(options.student, options.precision)
        recipe = starting.recipe(task, model, max_tokens=options.max_tokens)
        self._recipe = recipe
        self.per_note = 1 if task.mode == "joint" else len(task.fields)
        asked = [call for e in task.examples for call in render.calls(recipe, task.fields, e)]
        chars = sum(len(m.content) for call in asked for m in call.messages)
        self._prompt = chars / max(1, len(asked)) / CHARS_PER_TOKEN
        self._answer = ANSWER_TOKENS * len(task.fields) / self.per_note
        limits = options.limits
        self.worst_turns = (limits.looks_per_round + 1) * limits.breaker
        self._task, self._drawn = task, drawn
        self._hits = estimates.hits_tokens(options, task, drawn)
        self._training = estimates.a_training(options, task, drawn, recipe, settings)
        self.turn = 0
        if options.teacher != "rules":
            self.turn = estimates.turn_tokens(options, task, drawn, recipe)

    @property
    def refused(self) -> str:
        """Why no training will be made; empty if nothing is in the way, or none is offered."""
        return self._training.refused if self._training is not None else ""

    def likely_rounds(self) -> int:
        """Return the rounds of a run of this kind."""
        limits, rules = self._options.limits, self._options.teacher == "rules"
        if rules and self._options.moves == ("fine_tune",):
            return 0 if self.refused else 1  # It proposes one training, once.
        return min(limits.rounds, limits.plateau + 2)

    def trainings(self) -> tuple[int, int]:
        """Return (likely, most) trainings of a run."""
        if self._training is None or self.refused:
            return 0, 0
        if self._options.teacher != "rules":
            return 1, self._options.limits.rounds
        # It trains once at most; beside other moves one of those promises more and comes first.
        alone = self._options.moves == ("fine_tune",)
        return int(alone or self._options.limits.rounds > OTHERS_FIRST), 1

    def unpriced(self) -> tuple[str, ...]:
        """Return the models whose price is not known."""
        models = (self._options.student, self._options.teacher, self._options.labeller)
        return tuple(m for m in models if m and self._prices.find(m) is None)

    def round(self, looks: float, kept: float) -> float:
        """Return the student calls of one round."""
        train, dev, _ = self._parts
        held = train / self._folds
        return self.per_note * (held + looks * dev + kept * (train - held))

    def whole(self, rounds: float, looks: float, kept: float) -> float:
        """Return the student calls of a run."""
        train, dev, test = self._parts
        held = train / self._folds
        if not rounds:  # The student stays as it is: it is diagnosed, and tested once.
            return self.per_note * (dev + train - held + test)
        once = dev + train + 2 * test
        return self.per_note * (once + rounds * held + looks * dev + kept * (train - held))

    def cost(self, calls: float, turns: float, trainings: float, worst: bool = False) -> Cost:
        """Return what so many calls, turns and trainings cost."""
        said = self._options.teacher != "rules"
        turns = turns if said else 0
        inputs, outputs = teaching.TURN_TOKENS if worst else (self.turn, LIKELY_TURN_WRITES)
        hits = self._hits * (1 if worst else INDEXED)
        read = calls * (self._prompt * (GROWTH if worst else 1.2) + hits)
        written = calls * (self._recipe.decoding.max_tokens if worst else self._answer)
        student = self._prices.cost(self._options.student, read, written)
        teacher = self._prices.cost(self._options.teacher, turns * inputs, turns * outputs)
        trained = self._trained(trainings, worst)
        asked = None if self._pace is None else calls * self._pace
        return Cost(
            student_calls=round(calls),
            student_tokens=round(read + written),
            teacher_turns=round(turns),
            teacher_tokens=round(turns * (inputs + outputs)),
            dollars=None if student is None or teacher is None else student + teacher,
            trainings=round(trainings, 2),
            training_tokens=round(trainings * (self._training.tokens if self._training else 0)),
            training_seconds=trained,
            seconds=None if asked is None or trained is None else asked + trained,
        )

    def _trained(self, trainings: float, worst: bool) -> float | None:
        if not trainings or self._training is None:
            return 0.0
        each = self._training.longest if worst else self._training.seconds
        return None if each is None else trainings * each

    def labels(self, settings: Settings) -> Labels | None:
        """Return what one look that has notes labelled would cost, None where there is none."""
        spec = labelling.model_of(self._options)
        free = len(self._drawn.unlabelled)
        if not spec or not free or self._training is None:
            return None
        shown = len(estimates.shown(self._options, self._task, self._drawn))
        notes = min(free, LABELLED) + shown
        calls = notes * self.per_note
        chosen = settings.labeller
        batch = labelling.has_batches(spec, chosen) and (
            chosen.batch == "always" or (chosen.batch == "auto" and calls >= chosen.batch_from)
        )
        read, written = calls * self._prompt, calls * self._answer
        return Labels(
            model=spec,
            notes=notes,
            calls=calls,
            tokens=round(read + written),
            dollars=self._prices.cost(spec, read, written, batch),
            batch=batch,
        )


def _amount(cost: Cost, name: str, unknown: float) -> float:
    found = {
        "student_calls": cost.student_calls,
        "teacher_tokens": cost.teacher_tokens,
        "dollars": cost.dollars,
        "compute_seconds": cost.seconds,
        "wall_seconds": cost.seconds,
    }.get(name)
    return unknown if found is None else found


def _met(cost: Cost, bound: dict[str, float]) -> tuple[str, ...]:
    """Return the limits that a cost is above."""
    return tuple(name for name, limit in bound.items() if _amount(cost, name, limit) > limit)


def _within(cost: Cost, bound: dict[str, float]) -> Cost:
    """Return the part of a cost that comes before the first limit ends it; all grows alike."""
    shares = [bound[name] / _amount(cost, name, bound[name]) for name in _met(cost, bound)]
    share = min(shares, default=1.0)
    if share == 1.0:
        return cost

    def part(amount: float | None) -> float | None:
        return None if amount is None else share * amount

    whole = ("student_calls", "student_tokens", "teacher_turns", "teacher_tokens", "training_tokens")
    return cost.model_copy(
        update={
            **{name: int(share * getattr(cost, name)) for name in whole},
            **{name: part(getattr(cost, name)) for name in ("dollars", "training_seconds", "seconds")},
            "trainings": round(share * cost.trainings, 2),
        }
    )
