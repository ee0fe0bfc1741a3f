"""Trained weights go back to the server that the student answers from, through the parity gate.

Owns the way of a training's result in a run whose student Ollama serves: merged with the weights behind
the student, created under a name of its own (``preceptor/TASK:HASH``), compared with the student in
process, and kept only if it is the same. What is asked are notes that the training was shown, never
dev or test: sameness needs no unseen notes, and the score that quantised weights are judged by is
compared with that of the same weights in process on the same notes.

Each step is written down, so that after a kill a model that is there is taken and not made again:

    served/ADAPTER/returned.json   what was created where, and what the gate said
    served/ADAPTER/parity.json     the differences, by id
    served/ADAPTER/tokenizer/      renders what the served model is asked
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.agents import destination
from preceptor.agents.publish import Model, Publisher
from preceptor.core import render
from preceptor.core.egress import Egress, is_local
from preceptor.core.errors import InputError, StudentError, Unserved
from preceptor.core.files import write_whole
from preceptor.core.ledger import Ledger
from preceptor.core.ports import Evidence, Retriever
from preceptor.core.records import Call, Example, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs import (
    adapting,
    bundle,
    comparing,
    creating,
    exporting,
    grounds,
    parity,
    returned,
    training,
)
from preceptor.graphs.comparing import Asked, Served, Verdict
from preceptor.graphs.returned import WHOLE, Returned
from preceptor.tools.sft import base, routes
from preceptor.tools.sft.faces import Face
from preceptor.tools.sft.job import Failed
from preceptor.tools.sft.routes import Ground, Route

NOTES = 40
"""The most notes that are compared; without quantisation as many as make 40 prompts."""

LEAST = 1e-6
"""Seconds that are reserved for merging, creating and comparing: nobody knows them before."""

PARITY = "parity.json"
MADE = {"Q4_K_M": "q4_K_M", "Q4_K_S": "q4_K_S", "Q8_0": "q8_0"}
OTHERWISE = "q8_0"
"""What a server makes of whole weights for a student that is quantised in a way ``create`` cannot."""


_UNMADE = {"name": "", "ours": True, "digest": "", "passed": False, "refused": ()}
"""What of ``Returned`` does not tell which model was to be made."""


@dataclass(frozen=True)
class ServerHome:
    """Brings the trained weights of one run back to its server.

    Attributes:
        folder: Where the run's trainings lie.
        task: Whose notes are asked.
        splits: Which note stands where.
        settings: The policy, and how servers are asked.
        gate: Logs what leaves the machine.
        ledger: What the calls of the gate are booked on.
        retriever: Gives the retriever of a recipe, if it has an index.
    """

    folder: Path
    task: Task
    splits: Splits
    settings: Settings
    gate: Egress
    ledger: Ledger
    retriever: Callable[[Recipe], Retriever | None]

    def way(self, recipe: Recipe, face: Face, method: str | None, whole: bool) -> Route:
        """Return by which way the weights of a training will come back.

        Args:
            recipe: What is trained.
            face: Its weights.
            method: The method that was asked for; None if none was.
            whole: Whether all weights would be trained if nothing is asked for.

        Raises:
            InputError: If no way leads back, or the base is another model than when the run began.
            StudentError: If the server is gone.
        """
        with closing(Publisher()) as publisher:
            base_, ground, found = self._stands(publisher, recipe, face)
        start = recipe.adapter.kind if recipe.adapter is not None else None
        route = routes.settle(ground, method, whole, start)
        if route.way == "adapter":
            adapting.check(found, base_, face.folder)
        return route

    def _stands(
        self, publisher: Publisher, recipe: Recipe, face: Face
    ) -> tuple[grounds.Base, Ground, adapting.Tried]:
        """Return the base on the server, what a way is chosen from, and what adapters do there."""
        named = (recipe.model.base or recipe.model.spec).partition(":")[2]
        there = grounds.of(publisher, named)
        grounds.check_same(there, self._began_with(recipe), publisher.url)
        ground = grounds.ground(face.folder, there, self.settings)
        found = adapting.Tried()
        if ground.form == "gguf" and ground.architecture in routes.ADAPTABLE:
            found = adapting.tried(publisher, there, face.folder)
            ground = replace(ground, refused=found.refused)
        return there, ground, found

    def _began_with(self, recipe: Recipe) -> str:
        """Return the digest of the base when what was trained on it began; empty if it is not known."""
        if not recipe.model.base:
            return recipe.model.digest
        known = (returned.read(place) for place in sorted((self.folder / training.SERVED).glob("*")))
        name = recipe.model.spec.partition(":")[2]
        return next((k.base for k in known if k is not None and k.name == name), "")

    def check(self, recipe: Recipe, face: Face, evidence: Evidence) -> None:
        """Refuse what would come to nothing after the training.

        Raises:
            InputError: If the weights may not leave, no way leads back, the template cannot be said in
                Ollama's, or the notes or the budget do not suffice for the gate.
            StudentError: If the server is gone.
        """
        may_leave(recipe.model.spec, self.settings)
        try:
            exporting.told(face.folder, recipe)
        except Failed as cause:
            raise InputError(cause.message, cause.hint) from cause
        self.way(recipe, face, None, whole=False)
        with closing(Publisher()) as publisher:
            quantised = publisher.level(recipe.model.spec.partition(":")[2]).upper() not in WHOLE
        needed = 3 * len(self._asked(recipe, evidence, quantised).calls)
        left = self.ledger.left().get("student_calls")
        if left is not None and needed > left:
            raise InputError(
                f"comparing the served model takes {needed} student calls, {left:g} are left",
                "make another move, or allow more: --student-calls",
            )

    def bring(self, recipe: Recipe, face: Face, evidence: Evidence) -> tuple[Recipe, str]:
        """Return the recipe whose model is the served one, and what to say of it.

        Args:
            recipe: With the trained weights as its adapter.
            face: What was trained.
            evidence: The notes that it was shown.

        Raises:
            Unserved: If the server cannot make the model, or the gate refuses it; then it is deleted.
            StudentError: If the server is gone.
            BudgetStop: If the calls of the gate do not fit the budget.
        """
        assert recipe.adapter is not None
        claim = self.ledger.reserve(f"returning:{uuid.uuid4().hex[:8]}", compute_seconds=LEAST)
        begun = time.perf_counter()
        try:
            with closing(Publisher()) as publisher:
                known = self._brought(publisher, recipe, face, evidence)
        except InputError as cause:
            raise Unserved(cause.message, cause.hint) from cause
        finally:
            claim.settle(compute_seconds=time.perf_counter() - begun)
        named = recipe.model.base or recipe.model.spec
        model = ModelRef(spec=f"ollama:{known.name}", digest=known.digest, base=named)
        how = f" as an adapter on {named.partition(':')[2]}" if known.way == "adapter" else ""
        how += f", weights as {known.quantize}" if known.quantize else ""
        return recipe.model_copy(update={"model": model}), (
            f"Served as {known.name}{how}: it answers as the model that was trained."
        )

    def _brought(
        self, publisher: Publisher, recipe: Recipe, face: Face, evidence: Evidence
    ) -> Returned:
        """Create the model, or take the one that is there, and let the gate judge it once."""
        assert recipe.adapter is not None
        place = training.served_folder(self.folder.parent, recipe.adapter)
        fresh, parts = self._chosen(publisher, recipe, face)
        there = publisher.digests()
        known = returned.read(place)
        if known is None or known.model_copy(update=_UNMADE) != fresh:
            known = None
        if known is not None and known.refused:
            raise self._refuse(known, publisher, there)
        if known is None or not known.digest or there.get(known.name) != known.digest:
            known = self._create(parts, known or fresh, publisher, place)
        if not known.passed:
            asked = self._asked(recipe, evidence, known.quantised)
            verdict = self._judge((recipe, face), known, asked, place)
            refused = tuple(verdict.objections)
            known = known.model_copy(update={"passed": not refused, "refused": refused})
            write_whole(place / PARITY, (verdict.model_dump_json(indent=2) + "\n").encode())
            returned.write(place, known)
            if refused:
                raise self._refuse(known, publisher, publisher.digests())
        return known

    def _chosen(
        self, publisher: Publisher, recipe: Recipe, face: Face
    ) -> tuple[Returned, tuple[creating.Trained, Route, Ground]]:
        """Return by which way an adapter that is there goes, and what that needs."""
        assert recipe.adapter is not None
        there, ground, found = self._stands(publisher, recipe, face)
        adapter = base.adapter_folder(self.folder, recipe.adapter)
        base.check(adapter, recipe.adapter, face.digest)
        kind = recipe.adapter.kind
        route = routes.choose(ground, kind, routes.modules(adapter) if kind == "lora" else ())
        if route.way == "adapter":
            adapting.check(found, there, face.folder)
        trained = creating.Trained(self._bundle(recipe), face, adapter, there, found)
        fresh = Returned(
            name="",
            url=publisher.url,
            way=route.way,
            base=there.digest,
            level=there.shown.level.upper(),
            quantize="" if route.way == "adapter" else level(publisher, recipe),
        )
        return fresh, (trained, route, ground)

    def _asked(self, recipe: Recipe, evidence: Evidence, quantised: bool) -> Asked:
        """Return what the gate asks: whole notes that the training was shown."""
        able = [e for e in evidence.examples if e.gold is not None or not quantised][:NOTES]
        finder = self.retriever(recipe)
        found = finder.hits(able, evidence.fields) if finder is not None else [None] * len(able)
        calls: list[Call] = []
        notes: list[Example] = []
        for note, hits in zip(able, found, strict=True):
            if len(calls) >= parity.FEWEST and not quantised:
                break
            notes.append(note)
            calls += render.calls(recipe, evidence.fields, note, hits)
        if len(calls) < parity.FEWEST:
            raise InputError(
                f"the shown notes make {len(calls)} prompts, too few to compare two models",
                f"{parity.FEWEST} at least: more train notes, or one call per field",
            )
        return Asked(calls, notes, evidence.fields)

    def _create(
        self,
        parts: tuple[creating.Trained, Route, Ground],
        known: Returned,
        publisher: Publisher,
        place: Path,
    ) -> Returned:
        """Make the model on the server, or take the one of that name, which names its content."""
        trained, route, ground = parts
        with creating.prepared(trained, route, ground, known.quantize, place, self.settings) as made:
            model, content = made
            if model.name not in publisher.digests():
                known = known.model_copy(update={"name": model.name, "ours": True, "digest": ""})
                returned.write(
                    place, known
                )  # Before it is there: after a kill it is known whose it is.
                self._log(trained.made.recipe, content)
                create(publisher, model)
            elif known.name != model.name:
                known = known.model_copy(update={"name": model.name, "ours": False})
        found = publisher.digests()[known.name]
        known = known.model_copy(update={"digest": found, "passed": False})
        returned.write(place, known)
        return known

    def _bundle(self, recipe: Recipe) -> bundle.Bundle:
        return bundle.Bundle(
            task=self.task.name,
            task_fingerprint=self.task.fingerprint,
            synthetic=self.task.synthetic,
            fields=self.task.fields,
            recipe=recipe,
            seals={part: seal for part, seal in self.splits.seals.items()},
            template=self.task.template,
        )

    def _log(self, recipe: Recipe, content: str) -> None:
        """Write down that weights leave this machine, if they do."""
        self.gate.check(destination.of(recipe.model.spec), 0, content, "weights")

    def _judge(
        self, trained: tuple[Recipe, Face], known: Returned, asked: Asked, place: Path
    ) -> Verdict:
        recipe, face = trained
        assert recipe.adapter is not None
        calls = 3.0 * len(asked.calls)
        claim = self.ledger.reserve(f"parity:{recipe.adapter.digest}", student_calls=calls)
        served = Served(known.name, known.url, place / creating.TOKENIZER, known.quantised)
        folder = base.adapter_folder(self.folder, recipe.adapter)
        try:
            mine = comparing.reference(face.folder, recipe.adapter, folder)
            return comparing.judge(mine, served, asked, self.settings)
        finally:
            claim.settle(student_calls=calls)

    def _refuse(self, known: Returned, publisher: Publisher, there: dict[str, str]) -> Unserved:
        """Take a refused model away; return what is said of it."""
        if known.ours and there.get(known.name) == known.digest:
            publisher.delete(known.name)
        gone = "it was deleted" if known.ours else "it was there before and was left"
        return Unserved(
            f"the served model {known.name!r} is not the one that was trained ({gone}): "
            + "; ".join(known.refused),
            "the student stays as it was; preceptor doctor --student compares its two faces",
        )


def may_leave(spec: str, settings: Settings) -> None:
    """Refuse to train for a server that weights may not be sent to.

    Raises:
        InputError: If it is on another machine and the policy is not ``open``.
    """
    url = destination.of(spec)
    if not is_local(url) and settings.egress != "open":
        raise InputError(
            f"nothing is sent to {url!r}: weights learned from notes cannot be redacted",
            "serve the student on this machine, or set egress=open",
        )


def level(publisher: Publisher, recipe: Recipe) -> str:
    """Return to what new weights are made smaller, so that they answer as the student does now."""
    found = publisher.level(recipe.model.spec.partition(":")[2]).upper()
    return "" if found in WHOLE else MADE.get(found, OTHERWISE)


def create(publisher: Publisher, model: Model) -> None:
    """Create a model; what the server will not do is the move's failure, not the student's.

    Raises:
        InputError: If the server refuses.
        StudentError: If it is gone.
    """
    try:
        publisher.create(model, lambda _: None)
    except StudentError as error:
        publisher.names()
        raise InputError(error.message, error.hint) from error
