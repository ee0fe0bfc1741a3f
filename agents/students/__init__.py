"""Students: everything that answers a Call. ``make`` turns a model's name into one.

Owns which spec means which class, and what can be set on a student that changes no answer
(concurrency, timeouts, threads, where a server is). What changes answers stands in the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.core import model_home, served
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Student
from preceptor.core.records import AdapterRef, Call, Example, Gold, ModelRef
from preceptor.core.settings import check_address
from preceptor.core.weights import IN_PROCESS

if TYPE_CHECKING:
    from preceptor.agents.students.simulated import SimulatedSpec

__all__ = ["StudentOptions", "make"]

SPECS = "nano, hf:PATH, hf:NAME, ollama:NAME, openai:NAME@URL, scripted or simulated"


@dataclass(frozen=True)
class StudentOptions:
    """What can be set on a student without changing its answers, and what the shipped fakes need.

    Attributes:
        parallel: The most calls in flight at a server.
        timeout: Seconds to wait for one answer of a server, without retries.
        retries: How often one call is tried again after a transport error, 429 or 5xx.
        base_url: Where Ollama is; ``OLLAMA_HOST`` or its usual port if empty.
        keys: The variables that hold the keys of servers, as in the settings (``api_key_env``).
        num_ctx: Ollama's context window; from the prompts' length if None.
        keep_alive: How long Ollama keeps the model in memory.
        threads: Threads of a model in process; 0 means all cores.
        device: Where a model in process runs: ``cpu``, ``cuda``, or ``auto``.
        batch_tokens: The most prompt tokens that a model in process reads at once.
        adapter: The folder of the adapter or merged weights that the recipe names.
        tokenizer: The folder of the tokenizer of a model of ours at Ollama or llama.cpp: prompts are
            rendered with it here, and sent raw.
        counts: The folder of the weights behind a model that Ollama serves: its windows are sized with
            the tokenizer in it, where there is one.
        models: Where models that were fetched by name live; the default place if None.
        script: What ``scripted`` answers.
        examples: What ``simulated`` knows the right answers of.
        fields: The task's fields, for ``simulated``.
        simulated: How ``simulated`` errs; built from ``examples`` if None.
    """

    parallel: int = 8
    timeout: float = 120.0
    retries: int = 4
    base_url: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    num_ctx: int | None = None
    keep_alive: str = "10m"
    threads: int = 0
    device: str = "auto"
    batch_tokens: int = 16384
    adapter: Path | None = None
    tokenizer: Path | None = None
    counts: Path | None = None
    models: Path | None = None
    script: Mapping[str, Gold] | Callable[[Call], str] | None = None
    examples: tuple[Example, ...] = ()
    fields: tuple[FieldSpec, ...] = ()
    simulated: SimulatedSpec | None = None


def check(spec: str) -> None:
    """Refuse a name of no student; nothing is opened.

    Raises:
        InputError: If the name says no kind of student, or carries a secret.
    """
    check_address("student", spec)
    kind, _, name = spec.partition(":")
    alone = kind in ("nano", "scripted", "simulated") and not name
    if not alone and not (kind in ("hf", "ollama", "openai") and name):
        raise InputError(f"no such model: {spec!r}", f"write {SPECS}")
    if served.read(spec).url and kind == "ollama":
        raise InputError(
            f"student {spec!r}: a student of Ollama's takes no URL",
            "write ollama:NAME; the server's address is OLLAMA_HOST",
        )


def make(
    ref: ModelRef, adapter: AdapterRef | None = None, options: StudentOptions | None = None
) -> Student:
    """Return the student that ``ref`` names.

    Args:
        ref: Its ``spec`` decides; its digest is not looked at (the student tells its own).
        adapter: Trained weights on top of it; its folder stands in ``options.adapter``.
        options: What changes no answer.

    Raises:
        InputError: If the spec names no kind of student, carries a secret, or takes no adapter or
            precision.
        StudentError: If the model or server cannot be used.
    """
    check(ref.spec)
    inside = ref.spec.partition(":")[0] in IN_PROCESS
    if ref.precision != "auto" and not inside:
        raise InputError(
            f"what {ref.spec!r} computes in is its server's choice",
            "a precision is for nano and hf: only",
        )
    options = options or StudentOptions()
    kind, _, name = ref.spec.partition(":")
    if adapter is not None and kind not in ("nano", "hf", "simulated"):
        raise InputError(
            f"model {ref.spec!r} takes no adapter", "serve the merged weights under a name of their own"
        )
    if kind == "nano":
        return _hf(str(resources.files("preceptor.nano") / "weights"), ref, adapter, options)
    if kind == "hf":
        found = model_home.locate(name, options.models)
        return _hf(str(found) if found.is_dir() else name, ref, adapter, options)
    if kind in ("ollama", "openai"):
        return _served(kind, name, options)
    return _shipped_fake(kind, adapter, options)


def _hf(path: str, ref: ModelRef, adapter: AdapterRef | None, options: StudentOptions) -> Student:
    from preceptor.agents.students.hf import HFStudent

    if adapter is not None and options.adapter is None:
        raise InputError(f"the folder of adapter {adapter.digest} was not given")
    return HFStudent(path, ref, adapter=adapter, options=options)


def _served(kind: str, name: str, options: StudentOptions) -> Student:
    if kind == "ollama":
        from preceptor.agents.students.ollama import OllamaStudent

        return OllamaStudent(name, options)
    named = served.read(f"{kind}:{name}")
    if named.url and options.tokenizer is not None:
        from preceptor.agents.students.llamacpp import LlamaCppStudent

        return LlamaCppStudent(named.model, named.url, options, options.tokenizer)
    from preceptor.agents.students.openai import OpenAIStudent

    return OpenAIStudent(named.model, named.url, options)


def _shipped_fake(kind: str, adapter: AdapterRef | None, options: StudentOptions) -> Student:
    if kind == "scripted":
        from preceptor.agents.students.scripted import ScriptedStudent

        return ScriptedStudent(options.script or {})
    from preceptor.agents.students.simulated import SimulatedStudent, demo_spec

    if not options.examples:
        raise InputError("a simulated student needs examples with gold answers")
    spec = options.simulated or demo_spec(options.examples, options.fields)
    return SimulatedStudent(options.examples, spec, adapter)
