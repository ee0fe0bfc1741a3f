"""Fine-tuning in a run: where trainings lie, what they may cost, and what must not be learned from.

Owns how a run's folder, ledger and splits become the options of the move ``fine_tune``. Leaves the
training itself to ``tools.sft``.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from preceptor.core.errors import BudgetStop
from preceptor.core.ledger import Ledger
from preceptor.core.ports import Cancel, OnProgress
from preceptor.core.records import AdapterRef, Example
from preceptor.core.settings import Settings
from preceptor.evals import duplicates
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.tools.sft import base
from preceptor.tools.sft.data import Guard
from preceptor.tools.sft.faces import Faces
from preceptor.tools.sft.finetune import FineTune
from preceptor.tools.sft.job import Limits
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.options import FineTuneOptions, Grant, Reserve

FOLDER, SERVED = "training", "served"
"""Below a run's folder: jobs and trained weights."""


def faces(settings: Settings | None = None) -> Faces:
    """Return what finds the weights behind a student: the configured ones go before the table's."""
    from preceptor import nano

    if settings is None:
        return Faces(nano=nano.path())
    from preceptor.graphs import grounds

    return Faces(
        nano=nano.path(),
        configured=dict(settings.faces),
        models=settings.models_dir,
        exact=lambda name: grounds.served_weights(name, settings),
    )


def guard(task: Task, splits: Splits) -> Guard:
    """Return what must not be learned from: notes not on train's side, near-copies of dev and test."""
    own = (*splits.train, *splits.unlabelled)
    drawn = splits.model_copy(update={"train": own})
    alike = {
        pair.first if pair.first_split == "train" else pair.second
        for pair in duplicates.across(task.examples, drawn)
        if "train" in (pair.first_split, pair.second_split)
    }

    def forbidden(examples: Sequence[Example]) -> set[str]:
        return {e.id for e in examples if e.id in alike}

    return Guard(allowed=frozenset(own), forbidden=forbidden)


def reserve_on(ledger: Ledger) -> Reserve:
    """Return what books a training's seconds before they are spent, no more than are left.

    Each attempt is a claim of its own: one that was broken off has cost what it took.
    """

    def reserve(name: str, seconds: float) -> Grant:
        left = ledger.left().get("compute_seconds", seconds)
        if left <= 0:
            raise BudgetStop(
                "no compute_seconds are left for a training",
                "allow more: --compute-seconds",
            )
        granted = min(seconds, left)
        claim = ledger.reserve(f"{name}:{uuid.uuid4().hex[:8]}", compute_seconds=granted)
        return Grant(granted, lambda used: claim.settle(compute_seconds=used))

    return reserve


def served_folder(run: Path, adapter: AdapterRef) -> Path:
    """Return where a run keeps what it knows of trained weights that are served."""
    return run / FOLDER / SERVED / adapter.digest


def adapter_folder(run: Path, adapter: AdapterRef) -> Path:
    """Return where trained weights lie in a run's folder."""
    return base.adapter_folder(run / FOLDER, adapter)


def launch(settings: Settings) -> Launch:
    """Return how trainings are started.

    Raises:
        InputError: If the settings do not go together.
    """
    said = settings.training
    return Launch(said.launcher, said.processes, said.threads)


def limits(settings: Settings | None, tasks: int = 1) -> Limits:
    """Return what one training may take; one on several tasks as long as each of them may."""
    seconds = settings.training.seconds if settings is not None else Limits().seconds
    return Limits(seconds=tasks * seconds)


def here(run: Path, options: FineTuneOptions, heard: OnProgress, cancel: Cancel) -> FineTuneOptions:
    """Return options with what holds for every training in a run's folder.

    Args:
        run: Its folder.
        options: Guard, retriever, seed, reserve, limits and launch.
        heard: Who hears about steps.
        cancel: Who may stop them.
    """
    return replace(options, on_progress=heard, cancel=cancel, lock=run.parent)


def tool(
    run: Path,
    options: FineTuneOptions,
    heard: OnProgress,
    cancel: Cancel,
    settings: Settings | None = None,
) -> FineTune:
    """Return the move ``fine_tune`` of a run: as ``here``; the settings say where weights are."""
    return FineTune(run / FOLDER, faces(settings), here(run, options, heard, cancel))
