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

from pydantic import JsonValue

from preceptor.core import lengths, machine
from preceptor.core.errors import InputError, Unserved
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Evidence, Retriever, ToolResult
from preceptor.core.prospect import Prospect
from preceptor.core.record import digest
from preceptor.core.records import RENDER_VERSION, Example, Recipe
from preceptor.tools.distill import weak
from preceptor.tools.sft import base, data, memory, routes, telling
from preceptor.tools.sft.args import FineTuneArgs
from preceptor.tools.sft.faces import Face, Home, Resolver
from preceptor.tools.sft.job import (
    Base,
    Hyper,
    Job,
    Paths,
    ProfileName,
    Result,
)
from preceptor.tools.sft.options import NEEDED, FineTuneOptions
from preceptor.tools.sft.recombine import Wanted, recombine

FEWEST = 40
"""With fewer notes a training is not worth proposing."""

SEVERAL = 3
"""From so many fields on, asking all of them in one call is proposed along with a training."""

SMALL = 100_000_000
"""Bytes of a base model's weights below which notes are put together anew, to be learned from, too."""

WHOLE = 500_000_000
"""Weights of a model up to which all of them are trained where no method is named: they fit into a
usual memory. Whether adapters would do as well on so small a model is not measured yet
(``benchmarks/training_recipe.py``)."""

MEMORY = 0.6
"""The part of this machine's memory that such a training may take."""

RECOMBINED: dict[ProfileName, int] = {"quick": 300, "standard": 1000, "thorough": 2000}
"""So many notes are put together anew for a small model, at most."""

REPAIRED, SCALE, AGAIN = 0.3, 150.0, 0.3
"""What a training repairs of what is missing; with how many notes two thirds of that; and how much less
a second training brings. The first two were set after one task and one student (dev of
``toxicity-l``, the embedded student: little from 62 notes, clearly more from 94); elsewhere they are
guesses."""


def is_small(folder: Path) -> bool:
    """Return whether a base model is so small that notes are put together anew for it."""
    return base.model_bytes(folder) < SMALL


def trained_whole(folder: Path) -> bool:
    """Return whether all weights of a base model are trained where no method is named."""
    weights, there = memory.parameters(folder), machine.memory()
    if not weights or weights > WHOLE:
        return is_small(folder)
    return there is None or memory.needed("full", weights, probe=True) <= MEMORY * there[0]


class FineTune:
    """Train the student's weights on the shown train notes.

    Args:
        folder: Where jobs and trained weights are kept.
        faces: Tells what is trained for a model.
        options: What the run gives.
    """

    name = "fine_tune"
    description = (
        "Train the student's weights on the gold answers of the shown train notes, exactly as "
        "it is asked. Costs compute time; the new student is then evaluated like any other. A profile "
        "says how long: quick (2 epochs), standard (4, stops early), thorough (10, stops early); "
        "'change' sets single hyper-parameters. 'fields' trains some fields only; 'weight_errors' "
        "repeats what the student got wrong; 'defaults' thins out answers that say nothing was found. "
        "'recombined' adds so many notes that are put together anew from sentences of the shown ones "
        "(label fields only); very small models get them by themselves. "
        "'together' asks all fields in one call from then on, which is faster. "
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
        self._prepared: tuple[FineTuneArgs, Evidence, tuple[Job, bytes, Paths]] | None = None

    def run(self, args: FineTuneArgs, evidence: Evidence) -> ToolResult:
        """Return the recipe with the weights that come out of the training.

        Raises:
            InputError: If the student cannot be trained, or not on this; before anything starts. Or
                if training failed, or the server does not serve what came out of it.
            BudgetStop: If the seconds that it may take do not fit the budget.
            Interrupted: If a person stopped it; it goes on when it is asked for again.
        """
        face = self._faces(evidence.recipe.model)
        home = self._home(face)
        if home is not None:
            home.check(evidence.recipe, face, evidence)
        result = self.train(args, evidence)
        asked = asked_as(args, evidence.recipe, evidence.fields)
        recipe = asked.model_copy(update={"adapter": result.adapter})
        said = telling.told(result, self.prepare(args, evidence)[1])
        if not result.learned:
            return ToolResult(said, in_vain=True)
        if home is not None:
            try:
                recipe, more = home.bring(recipe, face, evidence)
            except Unserved as failed:
                return ToolResult(f"{said} {failed}", in_vain=True, unserved=str(failed))
            said = f"{said} {more}"
        return ToolResult(said, recipe=recipe)

    def train(self, args: FineTuneArgs, evidence: Evidence) -> Result:
        """Return what comes of a move's training, learned or not; a finished one costs nothing.

        Raises:
            InputError: As ``run``.
            BudgetStop: Likewise.
            Interrupted: Likewise.
        """
        return self._options.train(self._folder, *self.prepare(args, evidence))

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
        is missing with very many notes, and much less with few (half at about 125, a sixth at 60).
        """
        notes = sum(e.gold is not None for e in evidence.examples)
        if self._hindered(evidence):
            return []
        missing = _missing(evidence)
        gain = REPAIRED * missing * (1 - math.exp(-((notes / SCALE) ** 2)))
        if evidence.recipe.adapter is not None:
            gain *= AGAIN
        why = f"a guess: {notes} notes to learn from, {missing:.0%} of the score missing"
        usual: dict[str, JsonValue] = {"profile": "standard"}
        found = [Prospect(tool=self.name, args=usual, gain=round(gain, 6), why=why)]
        if self._better_together(evidence):
            why += "; all fields in one call, which reads each note once"
            args: dict[str, JsonValue] = {**usual, "together": True}
            found.insert(0, Prospect(tool=self.name, args=args, gain=round(gain, 6), why=why))
        return found

    def _better_together(self, evidence: Evidence) -> bool:
        """Return whether asking all fields in one call is worth teaching: a tiny model never saw it."""
        recipe = evidence.recipe
        single = recipe.mode == "per_field" and recipe.index is None
        return single and len(evidence.fields) >= SEVERAL and not is_small(self.weights(recipe))

    def hindered(self, evidence: Evidence, found: Sequence[Prospect]) -> str:
        """Return why no training is proposed, an empty text if one is."""
        return "" if found else self._hindered(evidence)

    def _hindered(self, evidence: Evidence) -> str:
        notes = sum(e.gold is not None for e in evidence.examples)
        if notes < FEWEST or not evidence.scored:
            return f"{notes} labelled notes to learn from; a training is proposed from {FEWEST} on"
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            return f"training needs more packages: {', '.join(missing)}"
        try:
            face = self._faces(evidence.recipe.model)
            home = self._home(face)
            if home is not None:
                home.check(evidence.recipe, face, evidence)
        except InputError as error:
            return str(error)
        return ""

    def prepare(self, args: FineTuneArgs, evidence: Evidence) -> tuple[Job, bytes, Paths]:
        """Return the job of a move, the content of its ``data.jsonl``, and where things lie.

        Raises:
            InputError: If the student cannot be trained, or not on this.
        """
        known = self._prepared
        if known is None or known[0] != args or known[1] is not evidence:
            known = self._prepared = args, evidence, self._prepare(args, evidence)
        return known[2]

    def _prepare(self, args: FineTuneArgs, evidence: Evidence) -> tuple[Job, bytes, Paths]:
        recipe, options = asked_as(args, evidence.recipe, evidence.fields), self._options
        face = self._faces(recipe.model)
        start = self._start(recipe, face)
        notes, trust = self._notes(args, evidence)
        options.guard.check(notes)
        chosen = data.Selection(
            fields=args.fields,
            weight_errors=args.weight_errors,
            defaults=args.defaults,
            seed=options.seed,
        )
        retriever = self._retriever(recipe)
        found = data.rows(recipe, evidence.fields, notes, evidence.scored, chosen, retriever)
        if args.weak is not None:
            found = weak.weighted(found, trust, args.weak.weight)
        data.check(found)
        hyper, anew = self._anew(args, evidence, found, face)
        plain = data.Selection(fields=args.fields)
        found += data.rows(recipe, evidence.fields, anew, (), plain, retriever)
        if evidence.worth:
            ids = (e.id for e in evidence.examples)
            found = data.valued(found, dict(zip(ids, evidence.worth, strict=True)))
        rows = data.dump(found)
        job = Job(
            base=Base(spec=recipe.model.base or recipe.model.spec, digest=face.digest),
            start=recipe.adapter,
            data=digest(rows),
            rows=len(found),
            hyper=hyper,
            limits=options.limits,
            seed=options.seed,
        )
        said = Paths(base=str(face.folder.resolve()), start=str(start.resolve()) if start else "")
        return job, rows, said

    def _anew(
        self, args: FineTuneArgs, evidence: Evidence, found: Sequence[data.Row], face: Face
    ) -> tuple[Hyper, list[Example]]:
        """Return the hyper-parameters, and notes put together anew from those that are trained on.

        Raises:
            InputError: If they were asked for, and these notes cannot be put together.
        """
        recipe = asked_as(args, evidence.recipe, evidence.fields)
        count = args.recombined
        if count is None:
            count = RECOMBINED[args.profile] if is_small(face.folder) and args.data != "weak" else 0
        merged = recipe.adapter is None or recipe.adapter.kind == "merged"
        whole, skip = self._whole(args, recipe, face, merged and trained_whole(face.folder))
        hyper = args.hyper(whole=whole, many=count > 0, skip=skip)
        kept = {row.id for row in data.split(found, hyper.validation, self._options.seed)[0]}
        anew = recombine(
            [e for e in evidence.examples if e.gold is not None and e.id in kept],
            evidence.fields,
            Wanted(
                count,
                self._options.seed,
                own=recipe.index is not None,
                whole=recipe.mode == "joint",
            ),
            {f.name: recipe.prompt.guide(f.name).look_for for f in evidence.fields},
        )
        if args.recombined and not anew:
            raise InputError(
                "these notes cannot be put together anew: too few sentences that decide a label",
                "leave 'recombined' out",
            )
        return hyper if anew else args.hyper(whole=whole, skip=skip), anew

    def _whole(
        self, args: FineTuneArgs, recipe: Recipe, face: Face, usual: bool
    ) -> tuple[bool, tuple[str, ...]]:
        """Return whether all weights are trained unless asked otherwise, and which get no adapters."""
        if not face.served:
            return usual, ()
        home, method = self._options.home, args.change.method
        if home is not None:
            way = home.way(recipe, face, method, usual)
        else:
            start = recipe.adapter.kind if recipe.adapter is not None else None
            way = routes.settle(routes.Ground(face.folder), method, usual, start)
        return way.kind == "merged" and usual, way.skip

    def weights(self, recipe: Recipe) -> Path:
        """Return the folder of the weights that would be trained.

        Raises:
            InputError: If they are not on this machine.
        """
        return self._faces(recipe.model).folder

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
        # The round's estimate is made on patients that are not shown: nothing of theirs is learned.
        unseen = {e.group for e in evidence.train} - {e.group for e in evidence.examples}
        labelled = tuple(e for e in labelled if e.group not in unseen)
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


def asked_as(args: FineTuneArgs, recipe: Recipe, fields: Sequence[FieldSpec]) -> Recipe:
    """Return the recipe as it is asked after a training; an answer to all fields gets room for them.

    Raises:
        InputError: If all fields shall be asked in one call, and its examples are for single ones.
    """
    if not args.together or recipe.mode == "joint":
        return recipe
    if recipe.index is not None:
        raise InputError(
            "a student that retrieves examples for each field cannot be asked all fields at once",
            "leave 'together' out, or take the index away first",
        )
    most = max(recipe.decoding.max_tokens, lengths.limit([fields]))
    changed = {
        "mode": "joint",
        "render_version": RENDER_VERSION,
        "decoding": recipe.decoding.model_copy(update={"max_tokens": most}),
    }
    return recipe.model_copy(update=changed)


def _missing(evidence: Evidence) -> float:
    """Return what the answers lack of a perfect score, in [0, 1]."""
    if not evidence.worth:
        return 1 - sum(s.score for s in evidence.scored) / len(evidence.scored)
    wrong = (
        evidence.worth_of(at, field)
        for at, scored in enumerate(evidence.scored)
        for field in evidence.fields
        if scored.fields.get(field.name, 1.0) < 1
    )
    return min(1.0, sum(wrong))
