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

import shutil
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from preceptor.agents import destination
from preceptor.agents.publish import Model, Publisher
from preceptor.core import render
from preceptor.core.egress import Egress, is_local
from preceptor.core.errors import InputError, StudentError
from preceptor.core.files import write_whole
from preceptor.core.ledger import Ledger
from preceptor.core.ports import Evidence, Retriever
from preceptor.core.record import Record
from preceptor.core.records import Call, Example, ModelRef, Recipe
from preceptor.core.settings import Settings
from preceptor.evals.splits import Splits
from preceptor.evals.task import Task
from preceptor.graphs import bundle, comparing, exporting, parity, training
from preceptor.graphs.comparing import Asked, Served, Verdict
from preceptor.tools.sft import base, merge
from preceptor.tools.sft.faces import Face
from preceptor.tools.sft.job import Failed

NOTES = 40
"""The most notes that are compared; without quantisation as many as make 40 prompts."""

LEAST = 1e-6
"""Seconds that are reserved for merging, creating and comparing: nobody knows them before."""

STATE, PARITY, WORK = "returned.json", "parity.json", "work"
WEIGHTS = "weights learned from notes"
WHOLE = frozenset({"", "F32", "F16", "BF16", "UNKNOWN"})
MADE = {"Q4_K_M": "q4_K_M", "Q4_K_S": "q4_K_S", "Q8_0": "q8_0"}
OTHERWISE = "q8_0"
"""What a server makes of whole weights for a student that is quantised in a way ``create`` cannot."""


class Returned(Record):
    """How far a training's result has come.

    Attributes:
        name: What the model is called.
        url: The server.
        quantize: To what its weights are made smaller.
        ours: Whether it was not there before.
        digest: The server's; empty until it was created.
        passed: Whether the gate let it pass.
        refused: Why it did not.
    """

    name: str
    url: str
    quantize: str = ""
    ours: bool = True
    digest: str = ""
    passed: bool = False
    refused: tuple[str, ...] = ()


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

    def check(self, recipe: Recipe, face: Face, evidence: Evidence) -> None:
        """Refuse what would come to nothing after the training.

        Raises:
            InputError: If the weights may not leave, the template cannot be said in Ollama's, or the
                notes or the budget do not suffice for the gate.
            StudentError: If the server is gone.
        """
        may_leave(recipe.model.spec, self.settings)
        try:
            exporting.told(face.folder, recipe)
        except Failed as cause:
            raise InputError(cause.message, cause.hint) from cause
        publisher = Publisher("", self.settings.api_key_env)
        try:
            quantize = level(publisher, recipe)
        finally:
            publisher.close()
        needed = 3 * len(self._asked(recipe, evidence, bool(quantize)).calls)
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
            InputError: If the server cannot make the model, or the gate refuses it; then it is deleted.
            StudentError: If the server is gone.
            BudgetStop: If the calls of the gate do not fit the budget.
        """
        assert recipe.adapter is not None
        place = training.served_folder(self.folder.parent, recipe.adapter)
        claim = self.ledger.reserve(f"returning:{uuid.uuid4().hex[:8]}", compute_seconds=LEAST)
        begun = time.perf_counter()
        publisher = Publisher("", self.settings.api_key_env)
        try:
            quantize = level(publisher, recipe)
            there = publisher.digests()
            known = _read(place)
            if known is None or (known.url, known.quantize) != (publisher.url, quantize):
                known = None
            if known is not None and known.refused:
                raise self._refuse(known, publisher, there)
            if known is None or not known.digest or there.get(known.name) != known.digest:
                start = Returned(name="", url=publisher.url, quantize=quantize)
                known = self._create((recipe, face), known or start, publisher, place)
            if not known.passed:
                asked = self._asked(recipe, evidence, bool(quantize))
                verdict = self._judge((recipe, face), known, asked, place)
                refused = tuple(verdict.objections)
                known = known.model_copy(update={"passed": not refused, "refused": refused})
                write_whole(place / PARITY, (verdict.model_dump_json(indent=2) + "\n").encode())
                _write(place, known)
                if refused:
                    raise self._refuse(known, publisher, publisher.digests())
        finally:
            publisher.close()
            claim.settle(compute_seconds=time.perf_counter() - begun)
        named = recipe.model.base or recipe.model.spec
        model = ModelRef(spec=f"ollama:{known.name}", digest=known.digest, base=named)
        smaller = f", weights as {quantize}" if quantize else ""
        return recipe.model_copy(update={"model": model}), (
            f"Served as {known.name}{smaller}: it answers as the model that was trained."
        )

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
        self, trained: tuple[Recipe, Face], known: Returned, publisher: Publisher, place: Path
    ) -> Returned:
        """Make the model on the server, or take the one of that name, which names its content."""
        recipe, face = trained
        assert recipe.adapter is not None
        adapter = base.adapter_folder(self.folder, recipe.adapter)
        work = place / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            merge.check_room(work, face.folder, adapter)
            source = exporting.Source(self._bundle(recipe), place, face.folder, face.digest, adapter)
            serving = exporting.weights(source, work)
            name = serving.name + (f"-{known.quantize}" if known.quantize else "")
            shutil.rmtree(place / "tokenizer", ignore_errors=True)
            exporting.copy_tokenizer(work / "model", place / "tokenizer")
            if name not in publisher.digests():
                known = known.model_copy(update={"name": name, "ours": True, "digest": ""})
                _write(place, known)  # Before it is there: after a kill it is known whose it is.
                self._log(recipe, serving)
                create(publisher, exporting.to_create(work / "model", serving, name, known.quantize))
            elif known.name != name:
                known = known.model_copy(update={"name": name, "ours": False})
        except Failed as cause:
            raise InputError(cause.message, cause.hint) from cause
        finally:
            shutil.rmtree(work, ignore_errors=True)
        found = publisher.digests()[name]
        known = known.model_copy(update={"digest": found, "passed": False})
        _write(place, known)
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

    def _log(self, recipe: Recipe, serving: exporting.Serving) -> None:
        """Write down that weights leave this machine, if they do."""
        url = destination.of(recipe.model.spec)
        self.gate.check(url, 0, base.weights_digest(serving.files), "weights", WEIGHTS)

    def _judge(
        self, trained: tuple[Recipe, Face], known: Returned, asked: Asked, place: Path
    ) -> Verdict:
        recipe, face = trained
        assert recipe.adapter is not None
        calls = 3.0 * len(asked.calls)
        claim = self.ledger.reserve(f"parity:{recipe.adapter.digest}", student_calls=calls)
        served = Served(known.name, known.url, place / "tokenizer", self.gate, bool(known.quantize))
        folder = base.adapter_folder(self.folder, recipe.adapter)
        try:
            mine = comparing.reference(face.folder, recipe.adapter, folder)
            return comparing.judge(mine, served, asked, self.settings)
        finally:
            claim.settle(student_calls=calls)

    def _refuse(self, known: Returned, publisher: Publisher, there: dict[str, str]) -> InputError:
        """Take a refused model away; return what is said of it."""
        if known.ours and there.get(known.name) == known.digest:
            publisher.delete(known.name)
        gone = "it was deleted" if known.ours else "it was there before and was left"
        return InputError(
            f"the served model {known.name!r} is not the one that was trained ({gone}): "
            + "; ".join(known.refused),
            "the student stays as it was; preceptor doctor --student compares its two faces",
        )


def left_behind(run: Path, kept: Collection[str]) -> list[str]:
    """Return the models that a run made on its server and that no recipe of it needs any more.

    They are not deleted: another run that came to the same weights may serve them.

    Args:
        run: The run's folder.
        kept: The digests of the adapters of all recipes that were accepted.
    """
    found = []
    for place in sorted((run / training.FOLDER / training.SERVED).glob("*")):
        known = _read(place)
        if known is not None and known.passed and known.ours and place.name not in kept:
            found.append(known.name)
    return found


def may_leave(spec: str, settings: Settings) -> None:
    """Refuse to train for a server that weights may not be sent to.

    Raises:
        InputError: If it is on another machine and the policy is not ``open``.
    """
    url = destination.of(spec)
    if not is_local(url) and settings.egress != "open":
        raise InputError(
            f"nothing is sent to {url!r}: {WEIGHTS} cannot be redacted",
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


def _read(place: Path) -> Returned | None:
    try:
        return Returned.from_json((place / STATE).read_bytes())
    except (OSError, ValidationError, ValueError):
        return None


def _write(place: Path, known: Returned) -> None:
    write_whole(place / STATE, (known.to_json() + "\n").encode())
