"""The serving folder: what an Ollama server, and a person, need of a refined student.

Owns what is in it, what is checked before it is written, and reading it back. It is a bundle that also
holds whole weights:

    Modelfile       ``ollama create NAME -f Modelfile`` makes the model; weights in ``model/``
    model/          merged safetensors, configuration, tokenizer
    serving.json    what it is made of, by content hash
    bundle.json, schema.json, metrics.json, adapter/, index/    as in the bundle
    prompt.json     the words that the student is told; README.md: the model card
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from preceptor.agents.publish import Model
from preceptor.core import foreign, private, render
from preceptor.core.errors import InputError
from preceptor.core.files import store_error, write_whole
from preceptor.core.reading import loads
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Recipe
from preceptor.graphs import bundle, training
from preceptor.graphs.comparing import TOKENIZER_FILES
from preceptor.tools.sft import base, merge, tokens
from preceptor.tools.sft.faces import IMPORTABLE, Face, Faces, check_importable
from preceptor.tools.sft.modelfile import Modelfile, modelfile

VERSION = 1
SERVING = "serving.json"
_TRIED = "Seen in the clinic today. No complaints since the last visit."
"""A note that the merged weights are tried on."""

_CARD = """# {task}: {fields} fields out of free text

A compact language model for one extraction task, made by Preceptor{synthetic}.

- Base model: `{spec}`, architecture {architecture}, content hash `{base}`.
- Trained: {trained}.
- Sealed test: {score}. `metrics.json` has baselines, intervals, costs and split hashes.
- Splits (hashes): {seals}.

    ollama create {name} -f Modelfile

The template of `Modelfile` is what the model's own chat template renders for one system and one user
message, the text that it was trained on{dated}. It answers with JSON that fits `schema.json`; send that
as `format`. `preceptor export FOLDER --to ollama` creates it and then compares its answers with those
of the model that was measured: only then is it known to be the same.

It answers the fields of this task, on notes like those that it was refined on, and nothing else.
{shots} worked examples stand in its prompt, and more in `index/` if there is one: with either, this
folder is as private as the notes. Weights can hold traces of the notes that they were trained on.
"""


class Serving(Record):
    """What a serving folder is made of.

    Attributes:
        name: What Ollama calls it, unless told otherwise.
        files: SHA-256 of each file of ``model/``.
        modelfile: What Ollama is told.
        base: The content hash of the base model.
        architecture: What ``config.json`` names.
        merge_difference: The largest difference of a logit between base with adapter and merged.
        dated: Whether the chat template says a date, which is always the same one then.
    """

    version: int = VERSION
    name: str
    files: dict[str, str]
    modelfile: Modelfile
    base: str
    architecture: str
    merge_difference: float
    dated: bool = False


@dataclass(frozen=True)
class Source:
    """A bundle, with the weights that it needs."""

    made: bundle.Bundle
    place: Path
    base: Path
    digest: str
    adapter: Path | None


def export(folder: Path, out: Path, faces: Faces | None = None) -> Serving:
    """Write the serving folder of a bundle or a finished run, whole or not at all.

    Args:
        folder: The bundle's, or the run's.
        out: Where; it must not be there, or be empty.
        faces: Finds base models; the embedded one and those that were downloaded by default.

    Raises:
        InputError: If it cannot be served: no weights, another base model, an architecture or a
            template that Ollama does not take. Nothing is written then.
        StoreError: If there is no room for it, or the disk refuses.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{str(out)!r} is not empty", "name a new folder")
    source = open_source(folder, faces)
    check_importable(Face(source.base, source.digest, served=True), IMPORTABLE)
    fresh = out.with_name(f".{out.name}-{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        merge.check_room(out.parent, source.base, source.adapter)
        shutil.rmtree(fresh, ignore_errors=True)
        private.make_folder(fresh)
        serving = _write(source, fresh)
        private.close(fresh)
        if out.exists():
            out.rmdir()
        fresh.rename(out)
    except OSError as cause:
        raise store_error("write", out, cause) from cause
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return serving


def open_source(folder: Path, faces: Faces | None = None) -> Source:
    """Return a bundle with its weights, after checking that they belong together.

    Raises:
        InputError: If there are no weights here, or they are not the recipe's.
    """
    made, place = bundle.read(folder), bundle.place(folder)
    recipe = made.recipe
    if recipe.model.spec.startswith("ollama:") and recipe.adapter is None:
        raise InputError(
            f"nothing was trained: {recipe.model.spec!r} is served as it is", "use the bundle itself"
        )
    face = (faces or training.faces())(recipe.model)
    found = base.model_digest(face.folder)
    if not face.served and recipe.model.digest not in ("", found):
        raise InputError(
            f"{recipe.model.spec!r} is not the model that this recipe was made with",
            f"recipe: {recipe.model.digest}, here: {found}",
        )
    return Source(made, place, face.folder, found, _adapter(recipe, place, found))


def _adapter(recipe: Recipe, place: Path, found: str) -> Path | None:
    if recipe.adapter is None:
        return None
    base.check(place / "adapter", recipe.adapter, found)
    return place / "adapter"


def weights(source: Source, fresh: Path) -> Serving:
    """Write ``model/`` into a folder; return what a serving folder with it is made of.

    Raises:
        InputError: If the template cannot be said in Ollama's, or merging gives another model.
    """
    recipe = source.made.recipe
    said, template = told(source.base, recipe)
    note = Example(id="tried", group="tried", text=_TRIED)
    calls = render.calls(recipe, source.made.fields, note)[:3]
    prompts = [
        template.asked([{"role": m.role, "content": m.content} for m in call.messages])
        for call in calls
    ]
    trained = (recipe.adapter, source.adapter) if recipe.adapter and source.adapter else None
    difference = merge.whole(source.base, trained, fresh / "model", prompts)
    files = base.file_hashes(fresh / "model")
    return Serving(
        name=named(source.made.task, digest([base.weights_digest(files), said.text()])),
        files=files,
        modelfile=said,
        base=source.digest,
        architecture=base.architecture(source.base),
        merge_difference=difference,
        dated=template.dated,
    )


def told(folder: Path, recipe: Recipe) -> tuple[Modelfile, tokens.Template]:
    """Return what Ollama is told of a base model with a recipe's prompt, and its chat template.

    Raises:
        InputError: If the chat template cannot be said in Ollama's.
        Failed: If the model has none.
    """
    template, context, ends = _template(folder)
    return modelfile(template.asked, render.system_text(recipe.prompt), context, ends), template


def to_create(model: Path, serving: Serving, name: str, quantize: str = "") -> Model:
    """Return what a server is asked to create.

    Args:
        model: The folder of the weights.
        serving: What it is made of.
        name: What the server will call it.
        quantize: To what its weights are made smaller; empty: not at all.
    """
    said = serving.modelfile
    return Model(
        name=name,
        files={file: model / file for file in sorted(serving.files)},
        template=said.template,
        system=said.system,
        parameters=parameters(said),
        quantize=quantize,
    )


def parameters(said: Modelfile) -> dict[str, JsonValue]:
    """Return the parameters of a Modelfile, as ``create`` takes them."""
    return {"temperature": 0, "num_ctx": said.num_ctx, "stop": [*said.stop]}


def copy_tokenizer(model: Path, out: Path) -> None:
    """Copy what renders a model's prompts into a new folder."""
    out.mkdir(parents=True)
    for file in TOKENIZER_FILES:
        if (model / file).is_file():
            shutil.copyfile(model / file, out / file)


def _write(source: Source, fresh: Path) -> Serving:
    recipe = source.made.recipe
    serving = weights(source, fresh)
    _beside(source, fresh)
    (fresh / "Modelfile").write_text(serving.modelfile.text(), "utf-8")
    (fresh / "prompt.json").write_text(recipe.prompt.model_dump_json(indent=2) + "\n", "utf-8")
    (fresh / "README.md").write_text(_card(source, fresh, serving), "utf-8")
    # The last file: a folder without it is none.
    write_whole(fresh / SERVING, (serving.model_dump_json(indent=2) + "\n").encode())
    return serving


def _template(folder: Path) -> tuple[tokens.Template, int | None, list[str]]:
    """Return (the chat template, the longest prompt and answer, the texts that end an answer)."""
    foreign.check_model(folder)
    what = f"the tokenizer in {str(folder)!r} cannot be loaded"
    with foreign.loading(InputError, what):
        from transformers import AutoConfig, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        whole = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = whole.get_text_config()
    listed: set[int] = {tokenizer.eos_token_id}
    file = folder / "generation_config.json"
    if file.is_file():
        said = loads(file.read_text("utf-8")).get("eos_token_id")
        listed |= set(said) if isinstance(said, list) else {said}
    ends = sorted(i for i in listed if isinstance(i, int))
    return (
        tokens.Template(tokenizer, frozenset(ends)),
        getattr(config, "max_position_embeddings", None),
        [str(word) for word in tokenizer.convert_ids_to_tokens(ends)],
    )


def named(task: str, content: str) -> str:
    """Return what Ollama calls a task's model of a content."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in task.casefold())
    return f"preceptor/{kept.strip('-_.') or 'task'}:{content[:12]}"


def _beside(source: Source, fresh: Path) -> None:
    """Copy what the bundle has; as a list, so that nothing else slips in."""
    for name in ("bundle.json", "schema.json", "metrics.json"):
        if (source.place / name).is_file():
            shutil.copyfile(source.place / name, fresh / name)
    for name in ("adapter", "index", "tokenizer"):
        if (source.place / name).is_dir():
            shutil.copytree(source.place / name, fresh / name)
    write_whole(
        fresh / "splits.json", (json.dumps(source.made.seals, indent=2, sort_keys=True) + "\n").encode()
    )


def _card(source: Source, fresh: Path, serving: Serving) -> str:
    made, recipe = source.made, source.made.recipe
    trained = f"{recipe.adapter.kind}, `{recipe.adapter.digest}`" if recipe.adapter else "not at all"
    return _CARD.format(
        task=made.task,
        fields=len(made.fields),
        synthetic=" on synthetic notes" if made.synthetic else "",
        spec=recipe.model.base or recipe.model.spec,
        architecture=serving.architecture,
        base=serving.base,
        trained=trained,
        score=_score(fresh / "metrics.json"),
        seals=", ".join(f"{part} `{seal}`" for part, seal in made.seals.items()) or "not told",
        name=serving.name,
        dated=" (the date in it is always the same one)" if serving.dated else "",
        shots=len(recipe.shots),
    )


def _score(file: Path) -> str:
    """Return the score of the sealed test as the report has it."""
    try:
        found: JsonValue = loads(file.read_text("utf-8"))
        for key in ("test", "final"):
            found = found[key] if isinstance(found, dict) else None
        assert isinstance(found, dict)
        return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        return "not measured"


def read(folder: Path) -> Serving:
    """Return what a serving folder says, after checking that its weights are what it says.

    Raises:
        InputError: If it is none, of a newer version, or damaged.
    """
    try:
        raw = loads((folder / SERVING).read_text("utf-8"))
        if raw.get("version", 0) > VERSION:
            raise InputError(f"{str(folder)!r} is of a newer version", "update preceptor")
        serving = Serving.model_validate(raw)
        found = base.file_hashes(folder / "model")
    except (OSError, ValueError, ValidationError, AttributeError) as cause:
        raise InputError(f"no serving folder in {str(folder)!r}", "export it again") from cause
    if found != serving.files:
        raise InputError(f"the weights in {str(folder)!r} are damaged", "export it again")
    return serving


def is_serving(folder: Path) -> bool:
    """Return whether this is a folder that was exported."""
    return (folder / SERVING).is_file()
