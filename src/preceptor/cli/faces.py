"""What ``preceptor doctor`` says of a student's two faces: what Ollama serves, and what is trained.

Owns the words. Finding the weights is ``tools.sft.faces``, comparing is ``graphs.sameness``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from preceptor.cli.checks import Check
from preceptor.core import ollama_names
from preceptor.core.settings import Settings

if TYPE_CHECKING:
    from preceptor.graphs.sameness import Sameness
    from preceptor.tools.sft.faces import Face

ENOUGH = 0.75
"""With fewer equal continuations whole weights are worth a question."""

SMALLER = "a likely effect of so few bits: eval on a few notes says what it costs"


def checks(spec: str, chosen: Settings) -> Iterator[Check]:
    """Look whether a student of Ollama's is the same model as the weights that would be trained."""
    kind, _, name = spec.partition(":")
    if kind != "ollama":
        return
    from preceptor.core.errors import InputError, PreceptorError
    from preceptor.core.records import ModelRef
    from preceptor.graphs import sameness, training

    try:
        face = training.faces(chosen)(ModelRef(spec=spec))
    except InputError as error:
        yield Check("weights", "note", error.message, error.hint)
        return
    yield Check("weights", "ok", str(face.folder))
    yield from _way_back(name, face, chosen)
    if find_spec("torch") is None or find_spec("transformers") is None:
        yield Check(
            "two faces", "note", "not compared: torch is missing", "pip install 'preceptor[local]'"
        )
        return
    try:
        yield from _said(sameness.compare(name, face.folder, chosen), name)
    except PreceptorError as error:
        yield Check("two faces", "missing", f"cannot be compared: {error.message}", error.hint)


def _way_back(name: str, face: Face, chosen: Settings) -> Iterator[Check]:
    """Name the way by which trained weights get back, and whether what is trained is what is served."""
    from contextlib import closing

    from preceptor.agents.publish import Publisher
    from preceptor.core.errors import InputError, PreceptorError
    from preceptor.graphs import grounds
    from preceptor.tools.sft import finetune, routes

    try:
        with closing(Publisher()) as publisher:
            base = grounds.of(publisher, name)
        ground = grounds.ground(face.folder, base, chosen)
        whole = finetune.trained_whole(face.folder)
        route = routes.settle(ground, None, whole=whole, start=None)
    except InputError as error:
        yield Check("way back", "note", error.message, error.hint)
        return
    except PreceptorError as error:
        yield Check("way back", "note", f"not looked at: {error.message}", error.hint)
        return
    trained = "all weights are trained" if route.kind == "merged" else "adapters are trained"
    yield Check("way back", "ok", f"{route.words}; {trained}")
    same = ground.file is not None and ground.file.parent == face.folder
    level = base.shown.level
    if same or grounds.is_taken_out(base.shown, face.folder):
        yield Check(
            "trained weights", "ok", f"those of the served file ({level or 'its own precision'})"
        )
    elif level.upper() not in ("", "F32", "F16", "BF16", "UNKNOWN"):
        found = f"served as {level}, trained as published: answers differ by the quantisation"
        yield Check("trained weights", "note", found)


def _said(found: Sameness, name: str) -> Iterator[Check]:
    """Put what was found into words; only other token counts are an error."""
    from preceptor.tools.sft.faces import setting

    off = {line.partition(":")[0]: line.partition(": ")[2] for line in found.off}
    for what, route, equal, mend in (
        ("vocabulary", "raw", found.raw_equal, f"set {setting(name)} to the weights it was made of"),
        (
            "chat template",
            "chat",
            found.chat_equal,
            f"compare: ollama show {ollama_names.plain(name)} --modelfile, "
            "with the weights' chat_template",
        ),
    ):
        counted = f"{equal} of {found.prompts} prompts have as many tokens as with the weights here"
        if equal == found.prompts:
            yield Check(what, "ok", counted)
        elif route == "raw" and found.second_start:
            yield Check(what, "ok", "as many tokens as with the weights here, and a second start token")
        else:
            yield Check(what, "missing", f"{counted} ({off.get(route, '')})", mend)
    yield _continuations(found, name)


def _continuations(found: Sameness, name: str) -> Check:
    """Put the continuations into words; where none is equal the first tokens must speak for them."""
    from preceptor.tools.sft.faces import setting

    none = not found.continued_equal
    equal = "no" if none else f"{found.continued_equal} of {found.prompts}"
    told = f"{equal} greedy continuation{'' if none else 's'} {'is' if none else 'are'} equal"
    if found.second_start:
        told += ", asked with two start tokens"
    mend = f"is {setting(name)} the same version of the model, and not its base?"
    if none:
        told += f"; {found.first_equal} of {found.prompts} begin with the same token"
        if found.quantised and found.first_equal >= ENOUGH * found.prompts:
            return Check("continuations", "note", f"{told}; it is served as {found.level}", SMALLER)
        return Check("continuations", "note", told, mend)
    if found.quantised:
        told += f"; it is served as {found.level}, so that some may differ"
        return Check("continuations", "ok", told)
    few = found.continued_equal < ENOUGH * found.prompts
    return Check("continuations", "note" if few else "ok", told, mend if few else "")
