"""Who answers a recipe: its student, opened once, behind the gate that guards what leaves the machine.

Owns the opening of students and of the gate. Leaves which task and options there are to
``graphs.wiring``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.agents import destination, students
from preceptor.agents.redaction.redactor import Redactor
from preceptor.agents.students.guarded import GuardedStudent
from preceptor.core import quiet
from preceptor.core.egress import Egress, is_local
from preceptor.core.errors import InputError, StudentError
from preceptor.core.ports import Student
from preceptor.core.records import AdapterRef, Example, Recipe
from preceptor.core.settings import Settings
from preceptor.core.weights import IN_PROCESS
from preceptor.evals.task import Task
from preceptor.graphs import tracing, training
from preceptor.tools.sft import base

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options


def gate(settings: Settings, log: Path, task: Task, notes: Sequence[Example] = ()) -> Egress:
    """Return the gate that everything that leaves the machine passes, and silence all else.

    Traces, if they are asked for, pass it too.

    Args:
        settings: The policy.
        log: Where it is logged; pseudonyms are kept beside it, in a file of the owner alone.
        task: Its field names and labels are not taken for names of persons.
        notes: Whole notes that will be sent in excerpts: the names in them are learnt.
    """
    quiet.hush(settings.egress, os.environ)

    @cache
    def redactor() -> Redactor:
        keep = [f.name for f in task.fields] + [
            v for f in task.fields for v in getattr(f, "values", ())
        ]
        made = Redactor(log.with_name(log.name.replace("egress", "pseudonyms")), keep)
        made.learn((n.text for n in notes), (i for n in notes for i in (n.id, n.group)))
        return made

    made = Egress(
        settings.egress,
        log,
        lambda text: redactor().redact(text),
        lambda text: redactor().restore(text),
    )
    tracing.start(settings, made, os.environ)
    return made


@dataclass
class Students:
    """Opens the student of a recipe, and keeps it open while recipes keep asking for it.

    Attributes:
        task: Whose notes are asked.
        options: How.
        gate: What a student on another machine is asked passes it; without one, there is no such.
        settings: Where the weights behind a served student are, whose tokenizer counts its prompts.
        run: The folder of the run that trains weights.
        adapter: The folder of the trained weights, outside a run.
        tokenizer: The folder of the tokenizer that prompts are rendered with for a model that was
            exported to Ollama.
    """

    task: Task
    options: Options
    gate: Egress = field(default_factory=lambda: Egress("local-only", None))
    settings: Settings | None = None
    run: Path | None = None
    adapter: Path | None = None
    tokenizer: Path | None = None
    _open: dict[tuple[str, str, str], Student] = field(default_factory=dict)

    def of(self, recipe: Recipe) -> Student:
        """Return the student that answers ``recipe``.

        Raises:
            InputError: If it is on another machine and the policy lets nothing out.
            StudentError: If it cannot be used, or is not the model that the recipe names.
        """
        adapter = recipe.adapter.digest if recipe.adapter else ""
        key = recipe.model.spec, recipe.model.precision, adapter
        if key not in self._open:
            self._open[key] = self._make(recipe)
        student = self._open[key]
        named, found = recipe.model.digest, student.ref.digest
        if named and found and named != found:
            raise StudentError(
                f"{recipe.model.spec!r} is not the model that this recipe was made with",
                f"recipe: {named}, here: {found}",
            )
        return student

    def at(self, folder: Path) -> None:
        """Take trained weights and tokenizer from a bundle's folder."""
        self.adapter = folder / "adapter"
        tokenizer = folder / "tokenizer"
        self.tokenizer = tokenizer if tokenizer.is_dir() else None

    def _make(self, recipe: Recipe) -> Student:
        url = destination.of(recipe.model.spec)
        # What a server answers with has its trained weights merged in.
        adapter = None if recipe.model.base else recipe.adapter
        if adapter is not None and recipe.model.spec.partition(":")[0] in IN_PROCESS:
            self._check(recipe, adapter)
        if not url or is_local(url):
            return students.make(recipe.model, adapter, self._options(recipe))
        self.gate.refuse(url)
        made = students.make(recipe.model, adapter, self._options(recipe))
        return GuardedStudent(made, lambda: self.gate.door(url, "student"))

    def _check(self, recipe: Recipe, adapter: AdapterRef) -> None:
        """Refuse weights that are not what the recipe names: they would answer all the same."""
        folder = self._weights(recipe)
        if folder is None:
            raise InputError(f"the folder of adapter {adapter.digest} was not given")
        base.check(folder, adapter, recipe.model.digest)

    def _weights(self, recipe: Recipe) -> Path | None:
        if self.run is not None and recipe.adapter is not None:
            return training.adapter_folder(self.run, recipe.adapter)
        return self.adapter

    def _options(self, recipe: Recipe) -> students.StudentOptions:
        tokenizer = self._tokenizer_of(recipe) if recipe.model.base else self.tokenizer
        return students.StudentOptions(
            adapter=self.adapter if recipe.model.base else self._weights(recipe),
            tokenizer=tokenizer,
            counts=training.faces(self.settings).behind(recipe.model.spec),
            models=Path(self.options.models_dir) if self.options.models_dir else None,
            keys=self.settings.api_key_env if self.settings else {},
            parallel=self.options.parallel,
            timeout=self.options.timeout,
            threads=int(os.environ.get("OMP_NUM_THREADS", "0") or 0),
            examples=self.task.examples,
            fields=self.task.fields,
        )

    def _tokenizer_of(self, recipe: Recipe) -> Path:
        """Return where the tokenizer of served trained weights lies: in the run, or in the bundle."""
        folder = self.tokenizer
        if self.run is not None and recipe.adapter is not None:
            folder = training.served_folder(self.run, recipe.adapter) / "tokenizer"
        if folder is None or not folder.is_dir():
            raise InputError(
                f"the tokenizer of {recipe.model.spec!r} is not here, where its prompts are rendered",
                "use the bundle's folder as a whole",
            )
        return folder

    def close(self) -> None:
        """Close all of them."""
        for student in self._open.values():
            student.close()
        self._open.clear()
