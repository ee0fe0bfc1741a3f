"""From a serving folder to a model on an Ollama server, behind the parity gate.

Owns the order: nothing is served under a name before the gate has compared it, and what fails is taken
away again. The reference is the student in process, base and adapter unmerged, whose answers were
measured. The served model is asked twice: over ``generate`` with our own text, which is how it will be
asked, and over ``chat``, which tests the TEMPLATE that other programs will use.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from preceptor.agents import students
from preceptor.agents.publish import Model, Publisher
from preceptor.core import render
from preceptor.core.egress import Egress, is_local
from preceptor.core.errors import InputError
from preceptor.core.files import write_whole
from preceptor.core.ports import Cancel, Student
from preceptor.core.record import Record
from preceptor.core.records import Call, Example, ModelRef, Reply
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.evals import splits
from preceptor.graphs import bundle, exporting, parity, retrieval, wiring
from preceptor.tools.sft.faces import Faces

Say = Callable[[str], None]
NOTES = 40
"""How many dev notes are compared, at most: each with all its prompts."""

PARITY, SERVED = "parity.json", "served"
_TOKENIZER = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
)  # fmt: skip


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


class Verdict(Record):
    """What came of it.

    Attributes:
        name: What the model is called.
        url: Where it is.
        checks: What the gate found, for each way of asking.
    """

    name: str
    url: str
    checks: tuple[parity.Parity, ...]

    @property
    def objections(self) -> list[str]:
        """Why it must not be served; empty if it may."""
        return [f"{check.route}: {word}" for check in self.checks for word in check.objections]


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
            name is there, or the gate refuses. No model is left behind then.
        StudentError: If the server cannot be used.
    """
    made, serving = bundle.read(folder), exporting.read(folder)
    notes = dev_notes(made, notes_of, target, settings)
    name = target.name or serving.name
    publisher = Publisher(target.host)
    try:
        _may_begin(publisher, name, target, settings)
        calls = calls_about(made, folder, notes, settings)
        publisher.create(_model(folder, serving, name, target.quantize), say)
        kept = False
        try:
            asked, url = (calls, notes), publisher.url
            checks = judge(
                (folder, made),
                asked,
                lambda route: _served(folder, name, url, route, settings),
                quantised=bool(target.quantize),
                faces=faces,
            )
            verdict = Verdict(name=name, url=url, checks=checks)
            kept = not verdict.objections
        finally:
            if not kept:
                publisher.delete(name)
    finally:
        publisher.close()
    report(folder, verdict, say)
    served_bundle(folder, made, f"ollama:{name}")
    return verdict


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
            f"{verdict.name!r} is not the model that was measured, and was deleted: "
            + "; ".join(verdict.objections),
            f"see {PARITY} in the folder",
        )


def _may_begin(publisher: Publisher, name: str, target: Target, settings: Settings) -> None:
    """Refuse to send weights, which cannot be redacted, elsewhere, or to replace a model unasked."""
    if not is_local(publisher.url) and settings.egress != "open":
        raise InputError(
            f"nothing is sent to {publisher.url!r}: weights learned from notes cannot be redacted",
            "serve on this machine, or set egress=open",
        )
    tagged = name if ":" in name else f"{name}:latest"
    if not target.replace and tagged in publisher.names():
        raise InputError(
            f"{publisher.url} has a model {tagged!r} already", "say --replace, or choose a --name"
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
        options = wiring.Options.model_validate(RunStore.open(run).config["options"])
    else:
        options = wiring.Options.model_validate(given)
    task = wiring.load_task(options)
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
    finders = retrieval.of_bundle(folder, settings, Egress("local-only", None))
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


def _model(folder: Path, serving: exporting.Serving, name: str, quantize: str) -> Model:
    told = serving.modelfile
    return Model(
        name=name,
        files={file: folder / "model" / file for file in sorted(serving.files)},
        template=told.template,
        system=told.system,
        parameters={"temperature": 0, "num_ctx": told.num_ctx, "stop": [*told.stop]},
        quantize=quantize,
    )


def judge(
    source: tuple[Path, bundle.Bundle],
    asked: tuple[list[Call], tuple[Example, ...]],
    served: Callable[[str], Student],
    *,
    quantised: bool,
    faces: Faces | None,
) -> tuple[parity.Parity, ...]:
    """Compare a served model with the student in process, in each way that it can be asked.

    Args:
        source: The serving folder, and its bundle.
        asked: The prompts, and the notes that they are about.
        served: Opens the served model for one way of asking.
        quantised: Whether its weights were made smaller.
        faces: Finds the base model.

    Raises:
        StudentError: If one of the two cannot be used.
    """
    folder, made = source
    calls, notes = asked
    reference = _Remembered(_reference(folder, faces))
    checks = []
    try:
        for route in ("raw", "chat"):
            student = served(route)
            try:
                pair = (reference, student)
                checks.append(
                    parity.compare(calls, notes, made.fields, pair, route=route, quantised=quantised)
                )
            finally:
                student.close()
    finally:
        reference.close()
    return tuple(checks)


def _served(folder: Path, name: str, url: str, route: str, settings: Settings) -> Student:
    return students.make(
        ModelRef(spec=f"ollama:{name}"),
        options=students.StudentOptions(
            base_url=url,
            parallel=settings.concurrency,
            timeout=settings.timeouts.student,
            tokenizer=folder / "model" if route == "raw" else None,
        ),
    )


def _reference(folder: Path, faces: Faces | None) -> Student:
    """Return the student in process: the base model with the adapter on it."""
    source = exporting.open_source(folder, faces)
    recipe = source.made.recipe
    options = students.StudentOptions(adapter=source.adapter, threads=1)
    return students.make(ModelRef(spec=f"hf:{source.base}"), recipe.adapter, options)


class _Remembered:
    """A student that is asked the same twice, and answers once."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self._replies: dict[parity.Key, Reply] = {}
        self.ref, self.context = student.ref, student.context

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls."""
        fresh = [c for c in calls if c.key not in self._replies]
        self._replies.update({r.key: r for r in self._student.complete(fresh, cancel)})
        yield from (self._replies[c.key] for c in calls if c.key in self._replies)

    def close(self) -> None:
        """Let go."""
        self._student.close()


def served_bundle(folder: Path, made: bundle.Bundle, spec: str) -> None:
    """Write the bundle whose student is the served model, asked with our own text."""
    place, fresh = folder / SERVED, folder / f".{SERVED}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    tokenizer = fresh / "tokenizer"
    tokenizer.mkdir()
    for file in _TOKENIZER:
        if (folder / "model" / file).is_file():
            shutil.copyfile(folder / "model" / file, tokenizer / file)
    if (folder / "index").is_dir():
        shutil.copytree(folder / "index", fresh / "index")
    for file in ("schema.json", "metrics.json"):
        if (folder / file).is_file():
            shutil.copyfile(folder / file, fresh / file)
    recipe = made.recipe.model_copy(update={"model": ModelRef(spec=spec), "adapter": None})
    served = made.model_copy(update={"recipe": recipe})
    write_whole(fresh / "bundle.json", (served.model_dump_json(indent=2) + "\n").encode())
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
