"""From a serving folder to one GGUF file, behind the parity gate.

Owns the order: the file is written under a hidden name, served by llama.cpp on this machine, compared
as any served model is, and gets its name only if the gate lets it pass. llama.cpp is asked over HTTP:
``raw`` with our own text, and ``chat`` with the template in the file, which must render what training
read, letter by letter.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from preceptor.agents import students
from preceptor.agents.servers.llamacpp import LlamaCppServer
from preceptor.agents.students.chat import of_folder
from preceptor.agents.students.llamacpp import templated
from preceptor.core.address import parse
from preceptor.core.errors import InputError
from preceptor.core.ports import Student
from preceptor.core.records import Call, ModelRef
from preceptor.core.settings import Settings
from preceptor.graphs import bundle, comparing, exporting, serving, training
from preceptor.tools.sft import conversion
from preceptor.tools.sft.faces import Faces

FILE = "model.gguf"
ADDRESS = "http://127.0.0.1:8080"
"""Where llama.cpp's own server listens, if it is not told otherwise."""


def write(
    folder: Path,
    notes_of: Path,
    target: serving.Target,
    settings: Settings,
    say: serving.Say,
    faces: Faces | None = None,
) -> comparing.Verdict:
    """Write the GGUF file of a serving folder, and keep it only if the gate lets it pass.

    Args:
        folder: The serving folder.
        notes_of: The run or bundle that it was made of, or the folder itself.
        target: What is made of the weights, and where the file will be served.
        settings: Where the converter and task data are.
        say: Hears what is being done.
        faces: Finds the base model.

    Raises:
        InputError: If it is no serving folder, something is missing, the dev notes are not those of
            the run, there is such a file, or the gate refuses. No new file is left behind then.
        StudentError: If llama.cpp cannot serve the file.
        StoreError: If the disk has no room for it.
    """
    made, about = bundle.read(folder), exporting.read(folder)
    if target.host:
        parse(target.host, "--host")
    kind, file = target.quantize or "f32", folder / FILE
    conversion.check(settings.llama_cpp, kind)
    if file.exists() and not target.replace:
        raise InputError(f"there is a {FILE} in {str(folder)!r} already", "say --replace")
    notes = serving.dev_notes(made, notes_of, target, settings)
    calls = serving.calls_about(made, folder, notes, settings)
    fresh = folder / f".{os.getpid()}-{FILE}"
    try:
        say(f"converting to {kind} with llama.cpp's converter")
        conversion.convert(folder / "model", fresh, kind, settings.llama_cpp)
        say(f"{fresh.stat().st_size / 2**20:,.1f} MiB; comparing")
        threads = int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
        with LlamaCppServer(fresh, about.modelfile.num_ctx, threads) as server:
            checks = comparing.checks(
                serving.reference(folder, made, settings, faces),
                lambda route: _served(folder, server.url, route, settings),
                comparing.Asked(calls, notes, made.fields),
                # Sixteen bits are no change of weights that have as many: these must answer alike.
                quantised=kind not in ("f32", *conversion.SIXTEEN),
            )
            base = exporting.open_source(folder, faces or training.faces(settings)).base
            rendered = _rendered(server.url, calls, base, settings)
        checks = tuple(
            c.model_copy(update={"texts_equal": rendered}) if c.route == "chat" else c for c in checks
        )
        verdict = comparing.Verdict(name=FILE, url=target.host or ADDRESS, checks=checks)
        serving.report(folder, verdict, say)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
    serving.served_bundle(folder, made, f"openai:{target.name or about.name}@{verdict.url}")
    return verdict


def _rendered(url: str, calls: Sequence[Call], base: Path, settings: Settings) -> int:
    """Return how many prompts the served template renders as the base model's own does."""
    chat, texts = of_folder(base), templated(url, calls, settings.timeouts.student)
    return sum(chat.text(c.messages) == text for c, text in zip(calls, texts, strict=True))


def _served(folder: Path, url: str, route: str, settings: Settings) -> Student:
    return students.make(
        ModelRef(spec=f"openai:{FILE}@{url}"),
        options=students.StudentOptions(
            # One slot answers: what waits for it must not run into its timeout.
            parallel=1,
            timeout=settings.timeouts.student,
            tokenizer=folder / "model" if route == "raw" else None,
        ),
    )
