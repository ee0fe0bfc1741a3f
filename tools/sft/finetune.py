"""The move ``fine_tune``: a recipe gets weights that were trained on the notes it was shown.

Owns what a teacher may ask of a training and the checks before one starts. It learns from
``evidence.examples`` only, never from the round's held-out part of train, so that the estimate on that
part stays honest. The training itself is a job in a process of its own (``runner``); the same move is
never trained twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, Retriever, ToolResult
from preceptor.core.prospect import Prospect
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Recipe
from preceptor.tools.distill import weak
from preceptor.tools.distill.weak import WeakUse
from preceptor.tools.sft import base, data
from preceptor.tools.sft.faces import Face, Home, Resolver, check_importable
from preceptor.tools.sft.job import (
    PROFILES,
    Base,
    Hyper,
    Job,
    Method,
    Paths,
    ProfileName,
    Result,
)
from preceptor.tools.sft.options import NEEDED, FineTuneOptions

FEWEST = 40
"""With fewer notes a training is not worth proposing."""

REPAIRED, SCALE, AGAIN = 0.15, 200.0, 0.3
"""Guesses: what a training repairs of what is missing; with how many notes two thirds of that; and how
much less a second training brings."""


class Changes(Record):
    """Hyper-parameters that differ from the profile's; see ``Hyper`` for what they mean."""

    method: Method | None = None
    rank: int | None = Field(default=None, ge=4, le=64)
    alpha: int | None = Field(default=None, ge=4, le=256)
    rate: float | None = Field(default=None, ge=1e-6, le=1e-2)
    epochs: int | None = Field(default=None, ge=1, le=20)
    batch: int | None = Field(default=None, ge=1, le=128)
    warmup: float | None = Field(default=None, ge=0, le=0.5)
    validation: float | None = Field(default=None, ge=0, le=0.4)
    patience: int | None = Field(default=None, ge=0, le=10)


class FineTuneArgs(Record):
    """The arguments of ``fine_tune``.

    Attributes:
        profile: ``quick``, ``standard`` or ``thorough``.
        change: Hyper-parameters that differ from the profile's.
        fields: The fields to train; all if empty.
        data: What to learn from: gold answers, weak labels, or both; of a note with both, gold.
        weak: Which weak labels, and what of them; needed where ``data`` says so.
        weight_errors: How often a row that the student got wrong is shown per epoch.
        defaults: Per field, at most so many rows that say «nothing found» for each other row; all of
            them if not given.
        reason: Why, in one line, for the trace.
        expected_gain: What the teacher expects on train, in points of [0, 1].
    """

    profile: ProfileName = "standard"
    change: Changes = Changes()
    fields: tuple[str, ...] = ()
    data: Literal["gold", "weak", "both"] = "gold"
    weak: WeakUse | None = None
    weight_errors: int = Field(default=1, ge=1, le=5)
    defaults: float | None = Field(default=None, ge=0.25, le=10)
    reason: str = Field(default="", max_length=400)
    expected_gain: float | None = Field(default=None, ge=-1, le=1)

    def hyper(self) -> Hyper:
        """Return the profile with the changes."""
        changed = {k: v for k, v in self.change.model_dump().items() if v is not None}
        return Hyper.model_validate({**PROFILES[self.profile].model_dump(), **changed})


class FineTune:
    """Train the student's weights on the shown train notes.

    Args:
        folder: Where jobs and trained weights are kept.
        faces: Tells what is trained for a model.
        options: What the run gives.
    """

    name = "fine_tune"
    description = (
        "Train the student's weights (LoRA) on the gold answers of the shown train notes, exactly as "
        "it is asked. Costs compute time; the new student is then evaluated like any other. A profile "
        "says how long: quick (2 epochs), standard (4, stops early), thorough (10, stops early); "
        "'change' sets single hyper-parameters. 'fields' trains some fields only; 'weight_errors' "
        "repeats what the student got wrong; 'defaults' thins out answers that say nothing was found. "
        "Where label_examples is offered, 'data' and 'weak' name weak labels to learn from. "
        "A student with trained weights goes on from them. Needs at least 8 labelled notes."
    )
    changing = True
    costly = True
    args = FineTuneArgs

    def __init__(self, folder: Path, faces: Resolver, options: FineTuneOptions | None = None) -> None:
        self._options = options or FineTuneOptions()
        self._folder = folder
        self._faces = faces
        self._runner = self._options.runner(folder)

    def run(self, args: FineTuneArgs, evidence: Evidence) -> ToolResult:
        """Return the recipe with the weights that come out of the training.

        Raises:
            InputError: If the student cannot be trained, or not on this; before anything starts. Or
                if training failed, or the server does not serve what came out of it.
            BudgetStop: If the seconds that it may take do not fit the budget.
            Interrupted: If a person stopped it; it goes on when it is asked for again.
        """
        job, rows, paths = self.prepare(args, evidence)
        face = self._faces(evidence.recipe.model)
        home = self._home(face)
        if home is not None:
            home.check(evidence.recipe, face, evidence)
        result = self._options.train(self._folder, job, rows, paths)
        recipe = evidence.recipe.model_copy(update={"adapter": result.adapter})
        said = self._say(result, rows)
        if home is not None:
            recipe, more = home.bring(recipe, face, evidence)
            said = f"{said} {more}"
        return ToolResult(said, recipe=recipe)

    def seconds(self, args: FineTuneArgs, evidence: Evidence) -> float:
        """Return how long the training of a move took; 0 if it was not done.

        Raises:
            InputError: As ``prepare``.
        """
        known = self._runner.result(self.prepare(args, evidence)[0])
        return known.seconds if known is not None else 0.0

    def prospects(self, evidence: Evidence) -> Sequence[Prospect]:
        """Return the usual training with a guess of its gain, if the student can be trained here.

        Nothing is counted but errors and notes: a training is expected to repair ``REPAIRED`` of what
        is missing with very many notes, and less with few (half of it at about 140).
        """
        notes = sum(e.gold is not None for e in evidence.examples)
        if notes < FEWEST or not evidence.scored or any(find_spec(n) is None for n in NEEDED):
            return []
        try:
            face = self._faces(evidence.recipe.model)
            check_importable(face, self._options.importable)
            home = self._home(face)
            if home is not None:
                home.check(evidence.recipe, face, evidence)
        except InputError:
            return []
        missing = 1 - sum(s.score for s in evidence.scored) / len(evidence.scored)
        gain = REPAIRED * missing * (1 - math.exp(-notes / SCALE))
        if evidence.recipe.adapter is not None:
            gain *= AGAIN
        why = f"a guess: {notes} notes to learn from, {missing:.0%} of the score missing"
        args: dict[str, JsonValue] = {"profile": "standard"}
        return [Prospect(tool=self.name, args=args, gain=round(gain, 6), why=why)]

    def prepare(self, args: FineTuneArgs, evidence: Evidence) -> tuple[Job, bytes, Paths]:
        """Return the job of a move, the content of its ``data.jsonl``, and where things lie.

        Raises:
            InputError: If the student cannot be trained, or not on this.
        """
        recipe, options = evidence.recipe, self._options
        face = self._faces(recipe.model)
        check_importable(face, options.importable)
        start = self._start(recipe, face)
        notes, trust = self._notes(args, evidence)
        options.guard.check(notes)
        found = data.rows(
            recipe,
            evidence.fields,
            notes,
            evidence.scored,
            data.Selection(
                fields=args.fields,
                weight_errors=args.weight_errors,
                defaults=args.defaults,
                seed=options.seed,
            ),
            self._retriever(recipe),
        )
        if args.weak is not None:
            found = weak.weighted(found, trust, args.weak.weight)
        data.check(found)
        rows = data.dump(found)
        job = Job(
            base=Base(spec=recipe.model.base or recipe.model.spec, digest=face.digest),
            start=recipe.adapter,
            data=digest(rows),
            rows=len(found),
            hyper=args.hyper(),
            limits=options.limits,
            seed=options.seed,
        )
        said = Paths(base=str(face.folder.resolve()), start=str(start.resolve()) if start else "")
        return job, rows, said

    def _home(self, face: Face) -> Home | None:
        if face.served and self._options.home is None:
            raise InputError(
                "trained weights of a student that Ollama serves must go back to its server",
                f"only a run of refine does that; here take hf:{face.folder}",
            )
        return self._options.home if face.served else None

    def _notes(
        self, args: FineTuneArgs, evidence: Evidence
    ) -> tuple[tuple[Example, ...], dict[tuple[str, str], float]]:
        """Return the notes to learn from, and the trust in each weak label."""
        if (args.data == "gold") != (args.weak is None):
            raise InputError(
                f"data {args.data!r} and weak labels do not go together",
                "data 'weak' or 'both' needs weak {labels: HASH}, data 'gold' none",
            )
        if args.weak is None:
            return evidence.examples, {}
        if self._options.weak is None:
            raise InputError("there are no weak labels in this run", "learn from gold")
        found = self._options.weak(args.weak.labels)
        labelled, trust = weak.examples(found, evidence.fields, args.weak)
        if args.data == "weak":
            return labelled, trust
        own = {e.id for e in evidence.examples if e.gold is not None}
        trust = {key: sure for key, sure in trust.items() if key[0] not in own}
        return (*evidence.examples, *(e for e in labelled if e.id not in own)), trust

    def _retriever(self, recipe: Recipe) -> Retriever | None:
        if recipe.index is None:
            return None
        found = self._options.retriever(recipe) if self._options.retriever else None
        if found is None:
            raise InputError(
                "the recipe has an index, but no retriever was given to train with",
                "rows without its hits would not be what the student is asked",
            )
        return found

    def _start(self, recipe: Recipe, face: Face) -> Path | None:
        """Return the folder of the weights that the recipe has already, None if it has none."""
        if recipe.adapter is None:
            return None
        folder = base.adapter_folder(self._folder, recipe.adapter)
        about = base.read_about(folder)
        if about.base != face.digest:
            raise InputError(
                f"adapter {recipe.adapter.digest} was trained on {about.spec!r} ({about.base}), "
                f"not on {recipe.model.spec!r} ({face.digest})",
                "start from a recipe without an adapter",
            )
        return folder

    def _say(self, result: Result, rows: bytes) -> str:
        notes = len({row.id for row in data.load(rows)})
        early = {"done": "", "patience": ", stopped early", "time": ", stopped at its time limit"}
        parts = [
            f"Trained on {notes} notes ({result.rows} rows, {result.steps} steps"
            f"{early[result.stopped]}).",
            f"Loss {result.losses[0]:.3f} -> {result.losses[-1]:.3f}.",
        ]
        if result.validation:
            best = min(loss for _, loss in result.validation)
            parts.append(
                f"On {result.validation_rows} rows of patients left aside: "
                f"{result.validation[0][1]:.3f} after the first epoch, {best:.3f} at best."
            )
        return " ".join([*parts, f"Adapter {result.adapter.digest}."])
