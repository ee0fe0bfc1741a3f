"""What was trained as an adapter goes onto the served base: nothing is merged, nothing uploaded twice.

Owns what is asked of a server before such a training (whether it puts adapters on this base at all, and
whether the base reads the same tokens as the weights here), and the model that is made after it.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from preceptor.agents.publish import Model, Publisher
from preceptor.core import model_folder
from preceptor.core.errors import InputError, StudentError, boundary
from preceptor.core.files import compact
from preceptor.core.record import Record, digest
from preceptor.core.records import AdapterRef, Recipe
from preceptor.graphs import exporting
from preceptor.graphs.grounds import Base
from preceptor.tools.sft import routes
from preceptor.tools.sft.faces import Face, setting

FILES = ("adapter_model.safetensors", "adapter_config.json")
"""What an adapter is made of, as PEFT writes it and Ollama reads it."""

TEXTS = (
    "{0}",
    "{0}: seen 12.03.2024, 78-year-old; BP 135/80 (seated), SpO2 97 %.\n\n- Müdigkeit; no pain → home\n"
    '  {{"pain": "present", "drugs": ["aspirin", "unknown"]}}... (absent/present), dry mouth?!',
)
"""What a base reads to show how it splits text; each begins with what nothing was asked with."""

_NO_START = "{%- set bos_token = '' -%}"
_LAYER = re.compile(r"^model\.layers\.0\.mlp\.down_proj\.weight$")
_RANK = 4


class Tried(Record):
    """What an adapter that changes nothing showed.

    Attributes:
        refused: Why the server puts no adapters on this base; empty if it does.
        start: Whether it puts a start token before every prompt, a raw one too.
        off: How its tokens differ from those of the weights here; empty if they do not.
    """

    refused: str = ""
    start: bool = False
    off: str = ""


_known: dict[tuple[str, str, str], Tried] = {}


def tried(publisher: Publisher, base: Base, folder: Path) -> Tried:
    """Return what comes of an adapter of zeros on a base; asked once per process.

    Args:
        publisher: The server.
        base: The base there.
        folder: Its weights here.

    Raises:
        StudentError: If the server is gone.
    """
    key = publisher.url, base.digest, str(folder)
    if key not in _known:
        _known[key] = _try(publisher, base, folder)
    return _known[key]


def _try(publisher: Publisher, base: Base, folder: Path) -> Tried:
    texts = [text.format(uuid.uuid4().hex) for text in TEXTS]
    name = f"preceptor/probe:{base.digest[:12] or 'base'}"
    with tempfile.TemporaryDirectory(prefix="preceptor-probe-") as scratch:
        if not _zeros(folder, Path(scratch)):
            return Tried(refused="its layers have other names than those that are converted")
        files = {file: Path(scratch) / file for file in FILES}
        model = Model(name, {}, "{{ .Prompt }}", source=base.name, adapters=files)
        try:
            publisher.create(model, lambda _: None)
            read = [publisher.read(name, text) for text in texts]
        except StudentError as error:
            publisher.names()
            return Tried(refused=f"the server puts no adapters on {base.name!r} ({error.message})")
        finally:
            if name in publisher.digests():
                publisher.delete(name)
    here = _counts(folder, texts)
    more = {None if there is None else there - own for there, own in zip(read, here, strict=True)}
    if more <= {None, 0} or more == {1}:
        return Tried(start=more == {1})
    return Tried(off=f"{sum(here)} tokens here, {sum(n or 0 for n in read)} there")


def check(found: Tried, base: Base, folder: Path) -> None:
    """Refuse to train weights whose base reads other tokens.

    Raises:
        InputError: If it does.
    """
    if found.off:
        raise InputError(
            f"the served base {base.name!r} reads other tokens than {str(folder)!r} ({found.off}): "
            "it is another model",
            f"set {setting(base.name)} to the weights it was made of",
        )


def _zeros(folder: Path, out: Path) -> bool:
    """Write an adapter that changes nothing; return whether the base has the layer it is for."""
    shapes = {n: s for file in model_folder.files(folder) for n, s in routes.header(file).items()}
    name = next((n for n in shapes if _LAYER.match(n)), "")
    if not name:
        return False
    layer, (rows, columns) = name.removesuffix(".weight"), shapes[name]
    told, at, body = {}, 0, b""
    for side, shape in (("A", [_RANK, columns]), ("B", [rows, _RANK])):
        size = 4 * shape[0] * shape[1]
        about = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        told[f"base_model.model.{layer}.lora_{side}.weight"] = about
        at, body = at + size, body + bytes(size)
    head = json.dumps(told).encode()
    (out / FILES[0]).write_bytes(struct.pack("<Q", len(head)) + head + body)
    said: dict[str, JsonValue] = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": _RANK}
    (out / FILES[1]).write_bytes(
        compact({**said, "lora_alpha": _RANK, "target_modules": ["down_proj"], "bias": "none"})
    )
    return True


def _counts(folder: Path, texts: Sequence[str]) -> list[int]:
    with boundary(InputError, f"the tokenizer in {str(folder)!r} cannot be loaded"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


def model(
    task: str, trained: tuple[Recipe, Face, Path], base: Base, found: Tried, tokenizer: Path
) -> Model:
    """Return what the server is asked to create, after checking that the adapter belongs to the base.

    Args:
        task: What the model is named by.
        trained: The recipe with its adapter, the weights that it was trained on, where it lies.
        base: What it is put on.
        found: What the server does with prompts.
        tokenizer: A folder for what will render the model's prompts; what is there is replaced.

    Raises:
        InputError: If the adapter is of another base or rank, or the template cannot be said.
    """
    recipe, face, adapter = trained
    assert isinstance(recipe.adapter, AdapterRef)
    routes.check_fits(adapter, face.folder)
    said, _ = exporting.told(face.folder, recipe)
    shutil.rmtree(tokenizer, ignore_errors=True)
    exporting.copy_tokenizer(face.folder, tokenizer)
    if found.start:
        _without_start(tokenizer)
        bare, _ = exporting.told(tokenizer, recipe)
        said = said.model_copy(update={"template": bare.template})
    content = digest([base.digest, recipe.adapter.digest, said.text()])
    return Model(
        name=exporting.named(task, content),
        files={},
        template=said.template,
        system=said.system,
        parameters=exporting.parameters(said),
        source=base.name,
        adapters={file: adapter / file for file in FILES},
    )


def _without_start(tokenizer: Path) -> None:
    """Let a tokenizer's template render no start token: the server puts one before every prompt."""
    from transformers import AutoTokenizer

    with boundary(InputError, "the tokenizer of the base cannot be loaded"):
        made = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True, trust_remote_code=False)
    template = made.chat_template
    if not isinstance(template, str):
        raise InputError("the base has several chat templates", "choose another base model")
    config = json.loads((tokenizer / "tokenizer_config.json").read_bytes())
    config.pop("chat_template", None)
    (tokenizer / "tokenizer_config.json").write_bytes(compact(config))
    (tokenizer / "chat_template.jinja").write_text(_NO_START + template, "utf-8")
