"""Which embedder tells the rule teacher what phrases mean, decided once per run.

Owns the choice, which stands in the run's options from then on, and the opening, which waits until the
teacher has something to embed. What is done with meanings is in ``agents.meaning``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.agents.meaning import Meaning
from preceptor.core import model_home
from preceptor.core.egress import Egress
from preceptor.graphs.retrieval import embedder_of
from preceptor.tools.rag.embed import Embedder

if TYPE_CHECKING:
    from preceptor.graphs.wiring import Options

NONE = "none"
DEFAULT = "all-minilm-l6-v2"
"""The model that is taken if it is here and nothing else is said."""

_NEEDED = ("torch", "transformers")


def settled(options: Options) -> Options:
    """Return the options of a new run with the teacher's embedder decided.

    What was asked for; else the run's own embedder; else the default model if it was fetched; else
    none. Only the rule teacher uses any.

    Raises:
        InputError: If the one that was asked for is none, or is not here.
        StudentError: If its model or server cannot be used.
    """
    asked = options.teacher_embedder
    if options.teacher != "rules":
        asked = NONE
    elif asked and asked != NONE:
        _check(asked, _home(options))
    elif not asked:
        # Hashed words know no meaning.
        own = "" if options.embedder.startswith("hash:") else options.embedder
        asked = own or (f"st:{DEFAULT}" if is_here(_home(options)) else NONE)
    return options.model_copy(update={"teacher_embedder": asked})


def is_here(home: Path | None) -> bool:
    """Return whether the default model was fetched, is as it was then, and can be run."""
    folder = model_home.place(DEFAULT, home)
    slip = model_home.read(folder)
    if slip is None or any(find_spec(name) is None for name in _NEEDED):
        return False
    return not model_home.changed(folder, slip)


def meaning(
    options: Options,
    dense: Embedder | None,
    gate: Egress,
    named: Mapping[str, str] | None = None,
) -> Meaning | None:
    """Return what the rule teacher asks about phrases, None where the run has no embedder for it.

    Args:
        options: The run's. A run of before there was a choice has none.
        dense: The run's own embedder, which is shared where it is the same.
        gate: What texts pass on their way to a server.
        named: The variables that hold the keys of servers, as in the settings (``api_key_env``).
    """
    spec = options.teacher_embedder
    if spec in ("", NONE) or options.teacher != "rules":
        return None
    if dense is not None and spec == options.embedder:
        return Meaning(lambda: dense)

    def make() -> Embedder:
        made = embedder_of(spec, gate, _home(options), named=named)
        assert made is not None
        return made

    return Meaning(make)


def _check(spec: str, home: Path | None) -> None:
    kind, _, name = spec.partition(":")
    if kind == "st" and name:
        from preceptor.tools.rag.sentence import layout

        layout(model_home.locate(name, home, "embedder"))  # Its weights can wait.
    else:
        embedder_of(spec, models=home)


def _home(options: Options) -> Path | None:
    return Path(options.models_dir) if options.models_dir else None
