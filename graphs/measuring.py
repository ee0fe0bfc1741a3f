"""Measuring one student on one split of a task, outside a run.

Owns what ``preceptor eval`` does. Dev and train may be measured at will; an opening of the sealed test
is logged like that of a run.
"""

from __future__ import annotations

from pathlib import Path

from preceptor.core import private
from preceptor.core.cache import AnswerCache
from preceptor.core.ports import OnProgress
from preceptor.core.record import Record
from preceptor.core.records import Interval, ModelRef, Precision, Recipe, Split
from preceptor.core.runs import log_opening, openings
from preceptor.core.settings import Settings
from preceptor.evals import evaluate, splits
from preceptor.evals.metrics import choice, resampling
from preceptor.evals.metrics.choice import words
from preceptor.graphs import answering, bundle, bundle_servers, retrieval, starting, wiring


class Request(Record):
    """Who is measured, on what; ``allow`` are the hosts that a server named by a bundle may be at."""

    student: str
    task: str
    split: Split
    seed: int | None = None
    mode: str | None = None
    metric: str = ""
    precision: Precision | None = None
    allow: tuple[str, ...] = ()


class Measured(Record):
    """What came of it; every number with its 95 % interval over patients."""

    student: str
    task: str
    synthetic: bool
    split: str
    notes: int
    metric: str
    score: Interval
    fields: dict[str, Interval]
    valid: float
    openings: int = 0

    def text(self) -> str:
        """Return it for a person."""
        mark = " (synthetic data)" if self.synthetic else ""
        rows = [
            f"{self.student} on {self.task}{mark}, {self.split}: {self.notes} notes",
            f"{words(self.metric):<28}{_shown(self.score)}",
            f"{'valid answers':<28}{self.valid:.3f}",
            *(f"  {name:<26}{_shown(value)}" for name, value in self.fields.items()),
        ]
        if self.split == "test":
            rows.append(f"This test set has now been opened {self.openings} time(s).")
        return "\n".join(rows)


def _shown(value: Interval) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


def measure(request: Request, settings: Settings, on_progress: OnProgress) -> Measured:
    """Measure a student.

    Raises:
        InputError: If bundle, task or model is wrong.
        StudentError: If the model cannot be used.
    """
    options = wiring.Options.model_validate(
        {
            "task": request.task,
            "student": request.student,
            "mode": request.mode,
            "data_dir": str(settings.data_dir or ""),
            "models_dir": wiring.models_dir(settings),
            "precision": request.precision or settings.precision,
            "parallel": settings.concurrency,
            "timeout": settings.timeouts.student,
            "max_tokens": settings.max_tokens,
        }
    )
    if Path(request.student).is_dir():
        bundle_servers.check(bundle_servers.senders(Path(request.student), settings), request.allow)
    task = wiring.load_task(options)
    drawn = splits.make(task, request.seed)
    metric = choice.choose(task.fields, drawn.examples(task, "train"), request.metric or task.metric)
    choice.check_part(metric, task.fields, drawn.examples(task, request.split), request.split)
    root = Path(settings.runs_dir)
    private.make_folder(root, parents=True, exist_ok=True)
    gate = answering.gate(settings, root / "eval-egress.jsonl", task)
    opened = answering.Students(task, options, gate, settings)
    folder = bundle.place(Path(request.student))
    opened.at(folder)
    finders = retrieval.of_bundle(folder, settings, gate, "eval")
    try:
        recipe = _recipe(request, options, opened)
        if request.split == "test":
            log_opening(root, task.name, drawn.digest("test"), "eval", recipe.fingerprint)
        with AnswerCache(root / "eval-cache.sqlite") as cache:
            asked = evaluate.EvaluatorSettings(task.fields, own=metric.function)
            evaluator = evaluate.CachedEvaluator(asked, opened.of, cache, retriever=finders.of)
            found = evaluator.evaluate(
                recipe, drawn.examples(task, request.split), request.split, on_progress
            )
    finally:
        finders.close()
        opened.close()
    return Measured(
        student=request.student,
        task=task.name,
        synthetic=task.synthetic,
        split=request.split,
        notes=len(found.scored),
        metric=metric.name,
        score=resampling.interval(metric.statistic, found.scored),
        fields=resampling.field_intervals(metric.statistic, found.scored),
        valid=sum(s.valid for s in found.scored) / max(1, len(found.scored)),
        openings=len(openings(root, task.name)),
    )


def _recipe(request: Request, options: wiring.Options, opened: answering.Students) -> Recipe:
    if Path(request.student).is_dir():
        return bundle.at(bundle.read(Path(request.student)), request.precision).recipe
    student = opened.of(Recipe(model=ModelRef.asked(request.student, options.precision)))
    return starting.untouched(wiring.load_task(options), student, options)
