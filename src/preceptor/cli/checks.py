"""What ``preceptor doctor`` looks at beyond packages: memory, GPU, keys, prices, servers, students.

Owns one check per thing, each with what mends it. Keys are named, never shown. Nothing here spends
money: a teacher is tried only where its server is one's own.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from preceptor.core import machine, ollama_names, private, served, wire
from preceptor.core.errors import PreceptorError
from preceptor.core.prices import PRICE_HINT
from preceptor.core.settings import Settings, masked, secrets

State = Literal["ok", "note", "missing"]
LEAST_MEMORY = 2.0
"""GiB that should be free for a student in process."""

LEAST_DISK = 1.0
"""GiB that a run and its training need."""

_KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google_genai": "GOOGLE_API_KEY",
    "mistralai": "MISTRAL_API_KEY",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it is, and what mends it."""

    what: str
    state: State
    found: str
    mend: str = ""


def memory(file: Path = machine.MEMINFO) -> Check:
    """Look at the memory that is free."""
    known = machine.memory(file)
    if known is None:
        return Check("memory", "note", "unknown on this system")
    total, free = (size / 2**30 for size in known)
    mend = "" if free >= LEAST_MEMORY else "close programs, or serve the student elsewhere (ollama:)"
    return Check("memory", "note" if mend else "ok", f"{free:.1f} of {total:.1f} GiB free", mend)


def privacy(runs: Path) -> Check:
    """Look at who may read the runs; what lies beside them in the same folder is not ours to judge."""
    found = [
        place
        for run in (sorted(runs.iterdir()) if runs.is_dir() else [])
        if run.name == "openings.jsonl" or (run.is_dir() and not run.is_symlink())
        for place in private.open_to_others(run)
    ]
    if not found:
        return Check("private runs", "ok", "only you may read them")
    shown = f"{len(found)} folders and files may be read by others, {found[0]}"
    mend = f"chmod -R go= {shlex.quote(str(runs))}"
    return Check("private runs", "note", shown if len(found) == 1 else f"{shown} …", mend)


def disk(folder: Path) -> Check:
    """Look at the room on the disk that a folder is on."""
    free = shutil.disk_usage(folder).free / 2**30
    mend = "" if free > LEAST_DISK else "make room: preceptor runs rm RUN, or another --runs-dir"
    return Check("disk", "missing" if mend else "ok", f"{free:.1f} GiB free", mend)


def gpu() -> Check:
    """Look for an NVIDIA GPU, and whether the installed torch can use it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("gpu", "ok", "none: students in process use the CPU")
    asked = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return Check("gpu", "note", "the driver does not answer", "nvidia-smi")
    found = "; ".join(line.strip() for line in said.splitlines() if line.strip())
    if not found:
        return Check("gpu", "ok", "none: students in process use the CPU")
    try:
        blind = "+cpu" in version("torch")
    except PackageNotFoundError:
        return Check("gpu", "ok", found)
    mend = "pip install --force-reinstall torch (a build with CUDA)" if blind else ""
    return Check(
        "gpu", "note" if blind else "ok", found + (", torch is for CPU" if blind else ""), mend
    )


def keys(environ: Mapping[str, str]) -> Check:
    """Name the keys that are set."""
    there = [name for name, is_set in secrets(environ).items() if is_set]
    return Check("keys", "ok", f"set: {', '.join(there) or 'none'}")


def teacher(chosen: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Look at the configured teacher: its key, and whether its price is known."""
    spec = chosen.teacher
    kind, _, rest = spec.partition(":")
    key = _KEYS.get(kind, "") if "@" not in rest else ""
    if key and not environ.get(key):
        yield Check("teacher", "missing", f"{masked(spec)}: {key} is not set", f"export {key}=…")
    else:
        yield _teacher(spec, chosen, environ.get(key, "") if key == "OPENAI_API_KEY" else "")
    price = chosen.price_table().find(spec)
    if price is None:
        yield Check("teacher's price", "note", "unknown", PRICE_HINT)
    else:
        free = "free" if not price.input and not price.output else ""
        shown = free or f"${price.input:g} and ${price.output:g} per million tokens in and out"
        yield Check("teacher's price", "ok", shown + (f" ({price.date})" if price.date else ""))


def _teacher(spec: str, chosen: Settings, key: str) -> Check:
    """Look whether a teacher can be set up, may hear anything, and calls a tool."""
    import httpx

    from preceptor.agents import destination
    from preceptor.agents import teacher as teachers

    own = spec.startswith("ollama:") or (spec.startswith("openai:") and "@" in spec)
    waits = chosen.timeouts.teacher
    options = teachers.TeacherOptions(
        api_key=key, timeout=waits, context=chosen.teacher_context, keys=chosen.api_key_env
    )
    try:
        teachers.make(spec, options)
    except PreceptorError as error:
        return Check("teacher", "missing", f"{masked(spec)}: {error.message}", error.hint)
    if chosen.egress == "local-only" and destination.is_remote(spec):
        mend = "another teacher, or egress = 'redacted'"
        return Check("teacher", "missing", f"{masked(spec)}: the policy lets nothing out", mend)
    if spec.startswith("ollama:"):
        named = served.read(spec)
        name = named.model
        try:
            with wire.client(served.ollama(named.url), 3.0) as client:
                listed = client.get("/api/tags").json()["models"]
            there = {str(model["name"]) for model in listed}
        except wire.Redirected as error:
            return Check("teacher", "missing", f"{masked(spec)}: {error.message}", error.hint)
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return Check("teacher", "missing", f"{masked(spec)}: no server answers", "ollama serve")
        if ollama_names.find(name, there) is None:
            mend = ollama_names.mend(name, sorted(there))
            return Check("teacher", "missing", f"{masked(spec)}: not there", mend)
    if not own:
        return Check("teacher", "ok", masked(spec))
    try:
        teachers.check(spec, options)
        state, said = teachers.tried(spec, options)
    except PreceptorError as error:
        return Check("teacher", "missing", f"{masked(spec)}: {masked(error.message)}", error.hint)
    mend = "" if state == "ok" else "a model that is made for tool calls; this one may be given up soon"
    return Check("teacher", state, f"{masked(spec)}: {said}", mend)


def embedder(chosen: Settings) -> Iterator[Check]:
    """Look whether the configured embedder answers; none is needed if none is configured."""
    if not chosen.embedder:
        return
    from preceptor.agents import destination
    from preceptor.tools.rag.embed import embedder_for

    try:
        if chosen.egress == "local-only" and destination.is_remote(chosen.embedder):
            mend = "another embedder, or egress = 'redacted'"
            said = f"{masked(chosen.embedder)}: the policy lets nothing out"
            yield Check("embedder", "missing", said, mend)
            return
        made = embedder_for(chosen.embedder, models=chosen.models_dir, named=chosen.api_key_env)
        size = len(made.embed(["pain"])[0])
        yield Check("embedder", "ok", f"{masked(chosen.embedder)}: {size} dimensions")
    except PreceptorError as error:
        yield Check("embedder", "missing", f"{masked(chosen.embedder)}: {error.message}", error.hint)


def qdrant(chosen: Settings) -> Iterator[Check]:
    """Look whether the configured Qdrant server answers; none is needed if none is configured."""
    if not chosen.qdrant_url:
        return
    import httpx

    from preceptor.tools.rag.server import address_of

    try:
        address = address_of(chosen.qdrant_url)
    except PreceptorError as error:
        yield Check("qdrant", "missing", error.message, error.hint)
        return
    try:
        if chosen.egress != "open" and not address.is_local:
            said = f"{address.url}: the policy is {chosen.egress}, and an index cannot be redacted"
            yield Check("qdrant", "missing", said, "a server on this machine, or egress = 'open'")
            return
        with wire.client(address, 3.0) as client:
            found = client.get("/").json()
        yield Check("qdrant", "ok", f"{found['title']} {found['version']} at {address.url}")
    except PreceptorError as error:
        yield Check("qdrant", "missing", error.message, error.hint)
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        mend = "docker run -p 6333:6333 qdrant/qdrant, or leave qdrant_url empty"
        yield Check("qdrant", "missing", f"no server at {address.url}", mend)


def template(spec: str, models: Path | None = None) -> Check:
    """Look whether a student has a chat template of its own."""
    kind, _, name = spec.partition(":")
    if kind in ("nano", "hf"):
        return _local_template(kind, name, models)
    if kind == "ollama":
        return _ollama_template(name)
    return Check("template", "ok", "the server's own" if kind == "openai" else "needs none")


def _local_template(kind: str, name: str, models: Path | None) -> Check:
    from preceptor import nano
    from preceptor.core import model_home

    folder = Path(str(nano.path())) if kind == "nano" else model_home.locate(name, models)
    found = (folder / "chat_template.jinja").is_file()
    config = folder / "tokenizer_config.json"
    if not found and config.is_file():
        try:
            found = bool(json.loads(config.read_text("utf-8")).get("chat_template"))
        except (ValueError, AttributeError):
            return Check("template", "note", f"{str(config)!r} is damaged", "fetch the model again")
    if found:
        return Check("template", "ok", "the model's own")
    return Check("template", "note", "none in its folder", "take an instruction-tuned model")


def _ollama_template(name: str) -> Check:
    import httpx

    try:
        with wire.client(served.ollama(), 5.0) as client:
            said = client.post("/api/show", json={"model": name}).json()
        shown = str(said.get("template") or "")
    except (PreceptorError, httpx.HTTPError, ValueError, AttributeError):
        return Check("template", "note", "not known", "ollama serve")
    if not shown or shown.strip() == "{{ .Prompt }}":
        return Check(
            "template",
            "note",
            "none: the model reads bare text",
            f"ollama show {ollama_names.plain(name)} --modelfile",
        )
    return Check("template", "ok", "the model's own")
