"""The one place that names concrete classes: options and settings become a Session.

Owns how a run is created and reopened, and which student answers a recipe. Everything it decides is
in the run's own config, so that a reopened run meets the same task, splits, student and rules.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from preceptor.agents import students, teacher
from preceptor.core import settings as settings_file
from preceptor.core.errors import StoreError
from preceptor.core.ledger import Budget, Ledger
from preceptor.core.record import Record
from preceptor.core.records import ModelRef, Precision, Recipe
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.evals import evaluate, splits
from preceptor.evals.task import Task, resolve
from preceptor.graphs import (
    begun,
    exploring,
    fits,
    judged,
    labelling,
    leaving,
    moves,
    reserve,
    returning,
    starting,
    teacher_embedder,
    training,
    weak,
)
from preceptor.graphs.answering import Students
from preceptor.graphs.gates import GateConfig
from preceptor.graphs.retrieval import Retrievers, embedder_of
from preceptor.graphs.session import Limits, Listener, Session
from preceptor.tools.rag.embed import Embedder
from preceptor.tools.sft.options import FineTuneOptions


class Options(Record):
    """What a run is asked to do; kept in its folder.

    Attributes:
        task: A task's name, file or ``pkg.mod:attr``.
        student: The student's model.
        teacher: The teacher.
        mode: One call per field or one for all; the task's own if None.
        seed: The draw of the splits; the task's own if None.
        constrained: Whether only texts that fit the schema can come out.
        max_tokens: The longest answer to one call, in tokens; what the schema asks for if None.
        budget: The run's limits of spending.
        limits: When the run ends.
        gate: The rule of acceptance.
        moves: The changing moves that the teacher may make; all if empty.
        embedder: What turns texts into dense vectors for retrieval; words alone if empty.
        teacher_embedder: What tells the rule teacher what phrases mean, ``none`` for nothing; if empty,
            ``graphs.teacher_embedder`` decides when the run is made.
        approve: Whether a person must say yes before each changing move.
        labeller: The model that labels notes; the teacher, if it can, if empty.
        metric: What better means; the task's own, or what its data call for, if empty.
        explore: Whether the run only looks around: the sealed test stays closed.
        models_dir: Where models that were fetched by name live; the default place if empty.
        precision: What a student in process computes in.
    """

    task: str
    student: str = "nano"
    teacher: str = "rules"
    mode: Literal["per_field", "joint"] | None = None
    seed: int | None = None
    constrained: bool = True
    max_tokens: int | None = Field(default=None, ge=1)
    budget: Budget = Budget()
    limits: Limits = Limits()
    gate: GateConfig = GateConfig()
    moves: tuple[str, ...] = ()
    embedder: str = ""
    teacher_embedder: str = ""
    approve: bool = False
    labeller: str = ""
    metric: str = ""
    explore: bool = False
    data_dir: str = ""
    models_dir: str = ""
    precision: Precision = "auto"
    parallel: int = Field(default=8, ge=1)
    timeout: float = Field(default=120.0, gt=0)


@dataclass
class Cancel:
    """Whether somebody wants the run to stop: Ctrl-C sets ``asked``, a stop file does it too."""

    store: RunStore | None = None
    asked: bool = False

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self.asked or (self.store is not None and self.store.stop_requested)


def load_task(options: Options) -> Task:
    """Return the task that the options name, with their mode."""
    task = resolve(options.task, Path(options.data_dir) if options.data_dir else None)
    return task.model_copy(update={"mode": options.mode}) if options.mode else task


def models(options: Options) -> Path | None:
    """Return where models that were fetched by name live, None for the default place."""
    return Path(options.models_dir) if options.models_dir else None


def models_dir(settings: Settings) -> str:
    """Return the options' ``models_dir``: a run may be opened again in another working directory."""
    return str(settings.models_dir.expanduser().absolute()) if settings.models_dir else ""


def check_names(options: Options, settings: Settings) -> None:
    """Refuse what can be told from names and numbers alone; nothing is opened or asked.

    Raises:
        InputError: If a student or move is none, a model that costs dollars under a limit of them has
            no price, or the launcher's settings do not go together.
    """
    students.check(options.student)
    moves.check(options, settings)
    training.launch(settings)
    for model in filter(None, (options.teacher, options.labeller)):
        Ledger(None, options.budget, settings.price_table()).cost(model, 0, 0)


@contextmanager
def create(
    options: Options, root: Path, name: str, settings: Settings, listener: Listener | None = None
) -> Iterator[Session]:
    """Make a run's folder and open it.

    Raises:
        InputError: If task, student, teacher or a number is wrong; then no folder is left behind.
    """
    task = load_task(options)
    parts = splits.make(task, options.seed)
    exploring.check(options, task, parts)
    opened = Students(task, options, leaving.gate_of(root / name, settings, task, parts), settings)
    try:
        leaving.check(options, settings, opened.gate)
        labelling.check(options, settings.labeller, opened.gate)
        student = opened.of(Recipe(model=ModelRef.asked(options.student, options.precision)))
        start = starting.untouched(task, student, options)
        starting.check(start, task, parts.examples(task, "train"))
        teacher.check(options.teacher, teacher.TeacherOptions(keys=settings.api_key_env))
        options = teacher_embedder.settled(options)
        check_names(options, settings)
        embedder_of(options.embedder, opened.gate, models(options), named=settings.api_key_env)
        reserve.held_back(options, task, parts, settings.price_table(), start)
        fits.check(student, start, task)
        metric = judged.of(options.metric, task, parts)
        config: dict[str, JsonValue] = {
            "metric": metric.name,
            "options": options.model_dump(mode="json"),
            "task": task.name,
            "task_fingerprint": task.fingerprint,
            "start": start.model_dump(mode="json"),
            "seed": parts.seed,
            "seals": {part: value for part, value in parts.seals.items()},
        }
        store = RunStore.create(root, name, begun.sealed(config))
        made = task, parts, opened, start
        with store.lock(), _opened(store, made, options, settings, listener) as session:
            yield session
    finally:
        opened.close()


@contextmanager
def reopen(
    path: Path,
    settings: Settings | None = None,
    listener: Listener | None = None,
    budget: Budget | None = None,
) -> Iterator[Session]:
    """Open a run that is there.

    Args:
        path: Its folder.
        settings: The settings of now; only the run's own options decide what is asked.
        listener: Who shows what happens.
        budget: Limits that take the place of the run's own, from now on.

    Raises:
        StoreError: If it is no run, is locked, or its task's data have changed since.
    """
    store = RunStore.open(path)
    begun.check(store)
    options = store.said("options", Options)
    settings = settings or settings_file.load(None, os.environ, {})
    with store.lock():
        options = options.model_copy(
            update={
                "budget": reserve.renewed(store, options, budget),
                "models_dir": models_dir(settings) or options.models_dir,
            }
        )
        task = load_task(options)
        if task.fingerprint != store.config.get("task_fingerprint"):
            raise StoreError(
                f"the data of task {task.name!r} have changed since run {store.path.name!r} began",
                "start a new run: preceptor refine",
            )
        parts = splits.make(task, options.seed)
        start = store.said("start", Recipe)
        opened = Students(task, options, leaving.gate_of(store.path, settings, task, parts), settings)
        try:
            leaving.check(options, settings, opened.gate)
            with _opened(store, (task, parts, opened, start), options, settings, listener) as session:
                yield session
        finally:
            opened.close()


@contextmanager
def _opened(
    store: RunStore,
    parts: tuple[Task, splits.Splits, Students, Recipe],
    options: Options,
    settings: Settings,
    listener: Listener | None,
) -> Iterator[Session]:
    task, drawn, opened, start = parts
    cancel, heard = Cancel(store), listener or Listener()
    metric = judged.kept(store, options.metric, task, drawn)
    limits, rule = judged.limits(options.limits, task), judged.rule(options.gate, task)
    opened.run = store.path
    dense = embedder_of(options.embedder, opened.gate, models(options), named=settings.api_key_env)
    retrievers = _retrievers((store, *parts), options, settings, dense)
    prices = settings.price_table()
    kept = reserve.held_back(options, task, drawn, prices, start)
    ledger = Ledger(store.ledger_path, kept, prices)
    given = _trainings((store, *parts), settings, (ledger, retrievers))
    tuner = training.tool(store.path, given, heard.of("training"), cancel, settings)
    asked = evaluate.EvaluatorSettings(task.fields, own=metric.function)
    evaluator = evaluate.CachedEvaluator(
        asked, opened.of, store.cache, ledger=ledger, retriever=retrievers.of, cancel=cancel
    )
    labeller = _labeller((store, *parts), options, settings, (ledger, retrievers), cancel, heard)
    session = Session(
        store=store,
        task=task,
        splits=drawn,
        start=start,
        teacher=leaving.teacher_of(options, settings, opened.gate, dense, heard),
        toolbox=moves.toolbox(
            store,
            options,
            dense,
            tuner,
            weak.labeller(task, drawn, given.guard, evaluator, labeller, heard.of("labels")),
            settings,
        ),
        evaluator=evaluator,
        ledger=ledger,
        budget=options.budget,
        gate=rule,
        metric=metric,
        limits=limits,
        turn_cost=lambda a, b: ledger.cost(options.teacher, a, b),
        cancel=cancel,
        admit=retrievers.of,
        listener=heard,
        approve=options.approve,
        embed=dense.embed if dense else None,
        explore=options.explore,
    )
    try:
        yield session
    finally:
        retrievers.close()
        if labeller is not None:
            labeller.close()


def _retrievers(
    run: tuple[RunStore, Task, splits.Splits, Students, Recipe],
    options: Options,
    settings: Settings,
    dense: Embedder | None,
) -> Retrievers:
    """Return what finds worked examples in a run's indexes."""
    store, _, drawn, opened, _ = run
    return Retrievers(
        store.artefacts.get,
        frozenset(drawn.train),
        dense,
        settings.qdrant_url,
        opened.gate,
        models(options),
        keys=settings.api_key_env,
    )


def _trainings(
    run: tuple[RunStore, Task, splits.Splits, Students, Recipe],
    settings: Settings,
    books: tuple[Ledger, Retrievers],
) -> FineTuneOptions:
    """Return what a run gives to its trainings."""
    store, task, drawn, opened, _ = run
    ledger, retrievers = books
    return FineTuneOptions(
        training.guard(task, drawn),
        retrievers.of,
        training.reserve_on(ledger),
        limits=training.limits(settings),
        seed=drawn.seed,
        weak=weak.reader(store.artefacts.get, task, drawn),
        launch=training.launch(settings),
        home=returning.ServerHome(
            store.path / training.FOLDER, task, drawn, settings, opened.gate, ledger, retrievers.of
        ),
    )


def _labeller(
    run: tuple[RunStore, Task, splits.Splits, Students, Recipe],
    options: Options,
    settings: Settings,
    books: tuple[Ledger, Retrievers],
    cancel: Cancel,
    heard: Listener,
) -> labelling.Labeller | None:
    """Return the model that labels notes, None if there is none."""
    if not labelling.model_of(options):
        return None
    store, task, drawn, opened, _ = run
    place = labelling.Place(
        task=task,
        allowed=frozenset((*drawn.train, *drawn.unlabelled)),
        options=options,
        chosen=settings.labeller,
        gate=opened.gate,
        cache=store.cache,
        ledger=books[0],
        retrievers=books[1],
        folder=store.path / labelling.FOLDER,
        cancel=cancel,
        heard=heard.of("labels"),
        keys=settings.api_key_env,
    )
    return labelling.Labeller(place)


def options(settings: Settings, given: Mapping[str, object]) -> Options:
    """Return options: what was given, and the settings' defaults for the rest.

    Raises:
        pydantic.ValidationError: If a value is wrong.
        InputError: If a model's name carries a secret.
    """
    defaults = {
        "student": settings.student,
        "teacher": settings.teacher,
        "data_dir": str(settings.data_dir or ""),
        "models_dir": models_dir(settings),
        "precision": settings.precision,
        "parallel": settings.concurrency,
        "timeout": settings.timeouts.student,
        "embedder": settings.embedder,
        "teacher_embedder": settings.teacher_embedder,
        "labeller": settings.labeller.model,
        "max_tokens": settings.max_tokens,
    }
    budget = {**settings.budget.limits(), **Budget.model_validate(given.get("budget", {})).limits()}
    made = Options.model_validate({**defaults, **given, "budget": budget})
    for what in ("student", "teacher", "embedder", "teacher_embedder"):
        settings_file.check_address(what, str(getattr(made, what)))
    return made
