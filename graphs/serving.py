"""From a serving folder to a model on an Ollama server, behind the parity gate.

Owns the order: a model is created under a name of its own (``NAME-candidate``), compared by the gate,
and only then copied to its name, so that what had the name before stays until something better is
there; the candidate is taken away again, whatever happens. The reference is the student in process,
base and adapter unmerged, whose answers were measured; both are asked as ``comparing`` says.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preceptor.agents.publish import Publisher
from preceptor.core import ollama_names, permission, pretokenizer, private, render
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError
from preceptor.core.files import write_whole
from preceptor.core.folders import put_in_place
from preceptor.core.ports import Student
from preceptor.core.records import Call, Example, ModelRef
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.graphs import begun, bundle, comparing, exporting, parity, retrieval, training, wiring
from preceptor.graphs.comparing import Asked, Served, Verdict
from preceptor.tools.sft import base
from preceptor.tools.sft.faces import Faces

Say = Callable[[str], None]
NOTES = 40
"""How many dev notes are compared, at most: each with all its prompts."""

PARITY, SERVED = "parity.json", "served"

WEIGHTS = "weights learned from notes"
"""What cannot be redacted."""


@dataclass(frozen=True)
class Target:
    """Where a model is served.

    Attributes:
        name: What it is called there; the folder's own name if empty.
        host: The server; ``OLLAMA_HOST`` or the usual port if empty.
        quantize: To what its weights are made smaller; empty: not at all.
        task: Whose dev notes it is compared on; that of the run, or of the bundle, if empty.
        seed: The draw of the splits; that of the run, or the task's, if None.
        replace: Whether a model of that name may be replaced.
    """

    name: str = ""
    host: str = ""
    quantize: str = ""
    task: str = ""
    seed: int | None = None
    replace: bool = False


def serve(
    folder: Path,
    notes_of: Path,
    target: Target,
    settings: Settings,
    say: Say,
    faces: Faces | None = None,
) -> Verdict:
    """Create the model of a serving folder on a server, and keep it only if the gate lets it pass.

    Args:
        folder: The serving folder.
        notes_of: The run or bundle that it was made of, or the folder itself.
        target: Where, and under which name.
        settings: The policy for what leaves the machine; where task data are.
        say: Hears what is being done.
        faces: Finds the base model.

    Raises:
        InputError: If it is no serving folder, the dev notes are not those of the run, a model of that
            name is there, or the gate refuses. Then no model is left behind, and what had the name
            before has it still.
        StudentError: If the server cannot be used.
    """
    made, serving = bundle.read(folder), exporting.read(folder)
    notes = dev_notes(made, notes_of, target, settings)
    name = target.name or serving.name
    publisher, gate = Publisher(target.host, settings.api_key_env), gate_of(folder, settings)
    try:
        _may_begin(publisher, name, target, gate)
        check_tokenizer(folder / "model")
        calls = calls_about(made, folder, notes, settings)
        fresh = candidate(name)
        gate.check(publisher.url, 0, base.weights_digest(serving.files), "weights", WEIGHTS)
        publisher.create(exporting.to_create(folder / "model", serving, fresh, target.quantize), say)
        try:
            served = Served(fresh, publisher.url, folder / "model", gate, bool(target.quantize))
            asked = Asked(calls, notes, made.fields)
            mine = reference(folder, made, settings, faces)
            found = comparing.judge(mine, served, asked, settings)
            verdict = found.model_copy(update={"name": name})
            if not verdict.objections:
                publisher.copy(fresh, name)
        finally:
            publisher.delete(fresh)
    finally:
        publisher.close()
    report(folder, verdict, say)
    served_bundle(folder, made, f"ollama:{name}")
    return verdict


def candidate(name: str) -> str:
    """Return what a model is called until the gate has let it pass."""
    return f"{name}-candidate" if ":" in name else f"{name}:candidate"


def report(folder: Path, verdict: Verdict, say: Say) -> None:
    """Write down and say what the gate found.

    Raises:
        InputError: If it refuses.
    """
    write_whole(folder / PARITY, (verdict.model_dump_json(indent=2) + "\n").encode())
    for check in verdict.checks:
        for line in check.lines():
            say(line)
    if verdict.objections:
        raise InputError(
            f"what would be {verdict.name!r} is not the model that was measured, and was deleted: "
            + "; ".join(verdict.objections),
            f"see {PARITY} in the folder",
        )


def gate_of(folder: Path, settings: Settings) -> Egress:
    """Return the gate that a folder's weights and dev notes pass; its log is in the folder."""
    return Egress(settings.egress, folder / "egress.jsonl")


def _may_begin(publisher: Publisher, name: str, target: Target, gate: Egress) -> None:
    """Refuse to send weights, which cannot be redacted, elsewhere, or to replace a model unasked."""
    gate.refuse(publisher.url, WEIGHTS)
    there = None if target.replace else ollama_names.find(name, publisher.names())
    if there is not None:
        raise InputError(
            f"{publisher.url} has a model {there!r} already", "say --replace, or choose a --name"
        )


def check_tokenizer(model: Path) -> None:
    """Refuse to send safetensors whose text the server would split otherwise, without saying so.

    Raises:
        InputError: If Ollama's importer does not know the tokenizer.
    """
    if pretokenizer.imported(model) == pretokenizer.DEFAULT:
        raise InputError(
            "Ollama's importer does not know how this model's tokenizer splits text: "
            "what it made would read other tokens",
            "write a GGUF file, which ollama create takes as it is: preceptor export FOLDER --to gguf",
        )


def dev_notes(
    made: bundle.Bundle, notes_of: Path, target: Target, settings: Settings
) -> tuple[Example, ...]:
    """Return the dev notes that a bundle was refined with.

    Raises:
        InputError: If they are not the same notes any more.
    """
    run = next((f for f in (notes_of, notes_of.parent) if (f / "run.json").is_file()), None)
    given: dict[str, object] = {
        "task": target.task or made.task,
        "data_dir": str(settings.data_dir or ""),
    }
    if run is not None and not target.task:
        store = RunStore.open(run)
        begun.check(store)
        options = store.said("options", wiring.Options)
    else:
        if not target.task:
            permission.require([made.task], "the bundle", "or name your own task: --task")
        options = wiring.Options.model_validate(given)
    try:
        task = wiring.load_task(options)
    except InputError as lost:
        if target.task:
            raise
        raise InputError(
            f"the dev notes of task {made.task!r}, which the two are compared on, are not found",
            "name the task's file, or pkg.mod:attr: --task",
        ) from lost
    drawn = splits.make(task, options.seed if target.seed is None else target.seed)
    seal = made.seals.get("dev", "")
    if drawn.digest("dev") != seal:
        raise InputError(
            f"the dev notes of task {task.name!r} are not those that this bundle was made with",
            "name the run's folder, or its --task and --seed",
        )
    return drawn.examples(task, "dev")[:NOTES]


def calls_about(
    made: bundle.Bundle, folder: Path, notes: tuple[Example, ...], settings: Settings
) -> list[Call]:
    """Return the prompts of a bundle about notes.

    Raises:
        InputError: If they are too few to compare two models.
    """
    finders = retrieval.of_bundle(folder, settings, gate_of(folder, settings), "export")
    try:
        finder = finders.of(made.recipe)
        hits = finder.hits(notes, made.fields) if finder else [{} for _ in notes]
    finally:
        finders.close()
    calls = [
        call
        for note, found in zip(notes, hits, strict=True)
        for call in render.calls(made.recipe, made.fields, note, found)
    ]
    if len(calls) < parity.FEWEST:
        raise InputError(
            f"{len(calls)} dev prompts are too few to compare two models", f"{parity.FEWEST} at least"
        )
    return calls


def reference(
    folder: Path, made: bundle.Bundle, settings: Settings, faces: Faces | None = None
) -> Student:
    """Return the student in process of a serving folder: the base model with the adapter on it."""
    found = exporting.open_source(folder, faces or training.faces(settings))
    return comparing.reference(found.base, made.recipe.adapter, found.adapter)


def served_bundle(folder: Path, made: bundle.Bundle, spec: str) -> None:
    """Write the bundle whose student is the served model, asked with our own text."""
    place, fresh = folder / SERVED, folder / f".{SERVED}"
    shutil.rmtree(fresh, ignore_errors=True)
    private.make_folder(fresh)
    tokenizer = fresh / "tokenizer"
    exporting.copy_tokenizer(folder / "model", tokenizer)
    if (folder / "index").is_dir():
        shutil.copytree(folder / "index", fresh / "index")
    for file in ("schema.json", "metrics.json"):
        if (folder / file).is_file():
            shutil.copyfile(folder / file, fresh / file)
    recipe = made.recipe.model_copy(update={"model": ModelRef(spec=spec), "adapter": None})
    served = made.model_copy(update={"recipe": recipe})
    write_whole(fresh / "bundle.json", (served.model_dump_json(indent=2) + "\n").encode())
    private.close(fresh)
    put_in_place(fresh, place)
