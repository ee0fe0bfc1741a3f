"""What a server is asked to create out of trained weights, for each way back.

Owns the preparation: an adapter is named, merged weights are written, a GGUF file is made of them. The
choice of the way is ``tools.sft.routes``; asking the server and judging what came of it is
``graphs.returning``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from preceptor.agents.publish import Model
from preceptor.core.errors import InputError
from preceptor.core.settings import Settings
from preceptor.graphs import adapting, bundle, exporting
from preceptor.graphs.grounds import Base
from preceptor.tools.sft import base, conversion, merge, regguf
from preceptor.tools.sft.faces import Face
from preceptor.tools.sft.job import Failed
from preceptor.tools.sft.routes import Ground, Route

WORK, TOKENIZER, FILE = "work", "tokenizer", "model.gguf"


@dataclass(frozen=True)
class Trained:
    """What comes back.

    Attributes:
        made: The bundle of its recipe.
        face: What was trained.
        adapter: Where the trained weights lie.
        base: The served base.
        found: What the server does with adapters on it, where that was tried.
    """

    made: bundle.Bundle
    face: Face
    adapter: Path
    base: Base
    found: adapting.Tried


@contextmanager
def prepared(
    trained: Trained, route: Route, ground: Ground, quantize: str, place: Path, settings: Settings
) -> Iterator[tuple[Model, str]]:
    """Give what is created, and the content hash of what would be sent; working files go afterwards.

    Args:
        trained: What comes back.
        route: By which way.
        ground: What that way needs.
        quantize: To what merged weights are made smaller.
        place: Where tokenizer and working files lie.
        settings: Where llama.cpp's converter is.

    Raises:
        InputError: If it cannot be made.
        StoreError: If the disk has no room.
    """
    try:
        if route.way == "adapter":
            yield _adapter(trained, place)
            return
        work = place / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            model, content = _merged(trained, quantize, place)
            if route.way == "gguf":
                file = _gguf(ground, work, quantize, settings)
                model = replace(model, files={FILE: file}, name=f"{model.name}-gguf")
            yield model, content
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except Failed as cause:
        raise InputError(cause.message, cause.hint) from cause


def _adapter(trained: Trained, place: Path) -> tuple[Model, str]:
    what = trained.made.recipe, trained.face, trained.adapter
    place.mkdir(parents=True, exist_ok=True)
    made = adapting.model(trained.made.task, what, trained.base, trained.found, place / TOKENIZER)
    return made, base.weights_digest(base.file_hashes(trained.adapter))


def _merged(trained: Trained, quantize: str, place: Path) -> tuple[Model, str]:
    work, face = place / WORK, trained.face
    merge.check_room(work, face.folder, trained.adapter)
    source = exporting.Source(trained.made, place, face.folder, face.digest, trained.adapter)
    serving = exporting.weights(source, work)
    shutil.rmtree(place / TOKENIZER, ignore_errors=True)
    exporting.copy_tokenizer(work / "model", place / TOKENIZER)
    name = serving.name + (f"-{quantize}" if quantize else "")
    made = exporting.to_create(work / "model", serving, name, quantize)
    return made, base.weights_digest(serving.files)


def _gguf(ground: Ground, work: Path, quantize: str, settings: Settings) -> Path:
    out = work / FILE
    if ground.file is not None:
        regguf.rewrite(ground.file, work / "model", out)
    else:
        conversion.convert(work / "model", out, "f16" if quantize else "f32", settings.llama_cpp)
    return out
