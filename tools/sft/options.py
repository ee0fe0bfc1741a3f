"""What a run gives to its trainings, and how one is done under it.

Owns the options, and the booking of the seconds that a training takes. Leaves what is trained to
``finetune`` and ``joint``, and the process to ``runner``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from preceptor.core.errors import InputError
from preceptor.core.ports import Cancel, OnProgress, Retriever
from preceptor.core.records import Recipe
from preceptor.tools.distill.weak import Labelled
from preceptor.tools.sft import data
from preceptor.tools.sft.faces import Home
from preceptor.tools.sft.job import Job, Limits, Paths, Result
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.runner import Runner

NEEDED = ("torch", "transformers", "trl", "peft", "datasets")


@dataclass(frozen=True)
class Grant:
    """Seconds that an attempt at a job may take, booked before they are spent.

    Attributes:
        seconds: How many: what was asked for, or what is left of it.
        settle: Is told the seconds used.
    """

    seconds: float
    settle: Callable[[float], None]


Reserve = Callable[[str, float], Grant]
"""(what it is for, the most seconds) -> what is granted, anew each time. It may raise BudgetStop."""


@dataclass(frozen=True)
class FineTuneOptions:
    """What a run gives to its trainings.

    Attributes:
        guard: What must not be learned from.
        retriever: Gives the retriever of a recipe, if it has an index.
        reserve: Books compute seconds before they are spent.
        on_progress: Hears about steps.
        cancel: Whether a person wants to stop.
        limits: What one training may take.
        seed: Of everything random.
        lock: A folder whose lock keeps two trainings of this machine apart.
        weak: Gives the weak labels of a content hash, with their notes.
        launch: How the training process is started.
        home: Brings the weights of a served student back to its server.
    """

    guard: data.Guard = field(default_factory=data.Guard)
    retriever: Callable[[Recipe], Retriever | None] | None = None
    reserve: Reserve | None = None
    on_progress: OnProgress | None = None
    cancel: Cancel | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    lock: Path | None = None
    weak: Callable[[str], Labelled] | None = None
    launch: Launch = field(default_factory=Launch)
    home: Home | None = None

    def runner(self, root: Path, most: float | None = None) -> Runner:
        """Return what runs trainings below a folder, each attempt for ``most`` seconds."""
        return Runner(root, self.lock, launch=self.launch, most=most)

    def train(self, root: Path, job: Job, rows: bytes, paths: Paths) -> Result:
        """Return what comes of a job; one that is finished costs nothing.

        Args:
            root: Below which jobs and trained weights lie.
            job: What to train.
            rows: The content of its ``data.jsonl``.
            paths: Where base model and start adapter lie.

        Raises:
            InputError: If a package is missing, or training fails.
            BudgetStop: If the seconds that it may take do not fit the budget.
            Interrupted: If it was cancelled.
        """
        known = self.runner(root).result(job)
        if known is not None:
            return known
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise InputError(
                f"training needs more packages: {', '.join(missing)}", "pip install 'preceptor[local]'"
            )
        name = f"fine_tune:{job.fingerprint}"
        grant = self.reserve(name, job.limits.seconds) if self.reserve else None
        began = time.monotonic()
        try:
            runner = self.runner(root, grant.seconds if grant is not None else None)
            return runner.run(job, rows, paths, self.on_progress, self.cancel)
        finally:
            if grant is not None:
                grant.settle(time.monotonic() - began)
