"""What a user may set: file, environment, command line, in this order of precedence.

Owns the settings, their defaults, and where a wrong one came from. Secrets are no settings: they stand
in the environment only, and nothing here ever shows one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, SecretStr, ValidationError

from preceptor.core.address import parse
from preceptor.core.egress import Policy
from preceptor.core.errors import InputError
from preceptor.core.ledger import Budget
from preceptor.core.prices import PriceTable
from preceptor.core.record import Record
from preceptor.core.weights import Precision

PREFIX = "PRECEPTOR_"
_ALIASES = {"PRECEPTOR_DATA": ("data_dir",)}
_FOREIGN = ("PRECEPTOR_TEST_", "PRECEPTOR_LIVE_", "PRECEPTOR_RUN_CODE")
_SECRET_ENDINGS = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
SECRETS = (
    "OPENAI_API_KEY",
    "OLLAMA_API_KEY",
    "ANTHROPIC_API_KEY",
    "GOOGLE_API_KEY",
    "MISTRAL_API_KEY",
    "QDRANT_API_KEY",
    "LANGSMITH_API_KEY",
    "HF_TOKEN",
)
"""Secrets that the program, or a library under it, reads from the environment."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
"""Keys that TOML takes without quotes."""

# To the last @ of what has no blank or quote: a password may hold a slash.
_USER = re.compile(r"(:/{1,2})[^/\s\"'`<>][^\s\"'`<>]*@")
_QUERY = re.compile(
    r"([?&][^=&#\s]*(?:key|token|secret|password)[^=&#\s]*=)[^&#\s\"'`<>]*", re.IGNORECASE
)


class Timeouts(Record):
    """How long to wait, in seconds.

    Attributes:
        connect: For a server to take a connection.
        student: For one answer of a student.
        teacher: For one turn of a teacher.
    """

    connect: float = Field(default=10.0, gt=0)
    student: float = Field(default=120.0, gt=0)
    teacher: float = Field(default=180.0, gt=0)


class LabellerSettings(Record):
    """Who is asked to label notes, and how requests reach it; ``teacher`` is a name and has no parts.

    Attributes:
        model: A chat model, as a student or teacher is named; the teacher if empty.
        batch: Whether many requests go through the batch endpoint: ``auto``, where there is one and
            they are enough; ``never``; ``always``, however few they are.
        batch_from: So many requests are enough.
        batch_hours: How long a batch is waited for.
        batch_url: A server that has OpenAI's batch endpoint too.
    """

    model: str = ""
    batch: Literal["auto", "never", "always"] = "auto"
    batch_from: int = Field(default=500, ge=1)
    batch_hours: float = Field(default=26.0, gt=0, allow_inf_nan=False)
    batch_url: str = ""


class Training(Record):
    """How trainings are started.

    Attributes:
        launcher: ``python``: one process; ``accelerate``: one per GPU, by ``accelerate launch``.
        processes: How many, with ``accelerate``; as many as there are GPUs if not set.
        threads: Of a CPU, per process; all that may be used if not set.
        seconds: What one training may take; epochs that would not fit are left out.
    """

    launcher: Literal["python", "accelerate"] = "python"
    processes: int | None = Field(default=None, ge=1, le=64)
    threads: int | None = Field(default=None, ge=1, le=1024)
    seconds: float = Field(default=1800.0, gt=0)


class Settings(Record):
    """Everything that can be set. Relative paths start at the working directory.

    Attributes:
        runs_dir: The folder of all runs.
        data_dir: Where data that is not part of the program lies; the tasks' own place if not set.
        student: The student to improve, unless the task or the command says otherwise.
        teacher: Who teaches: ``rules``, or a chat model's name (``openai:gpt-4o``).
        teacher_context: The most tokens that a chat teacher's model reads and writes; what its server
            tells if 0.
        precision: What a student in process computes in; other answers, by rounding.
        max_tokens: The longest answer to one call, in tokens; from the task's schema if not set.
        concurrency: The most requests to a student's server at one time.
        egress: What may leave this machine.
        tracing: Who is sent a trace of every prompt and answer, under ``egress = "open"`` alone.
        api_key_env: The environment's variable that holds the key of a server, by its address:
            ``{"llm.example:8000": "MY_KEY"}``. Other keys go to their makers' servers only.
        embedder: What turns texts into dense vectors for retrieval; words alone if empty.
        teacher_embedder: What tells the rule teacher what phrases mean; ``none`` for nothing; if empty,
            ``embedder``, else ``st:all-minilm-l6-v2`` if it was fetched.
        models_dir: Where models that were fetched by name live; the user's data folder if not set.
        qdrant_url: A Qdrant server for retrieval; in memory if empty.
        llama_cpp: The source archive of llama-cpp-python, or a folder of llama.cpp, for its converter.
        timeouts: How long to wait.
        labeller: Who labels notes, and whether in batches.
        training: How trainings are started.
        budget: Limits of a run.
        prices: Dollars per million tokens by model: ``{"model": {"input": 1, "output": 2}}``.
        faces: Folders of weights by what Ollama calls the model: ``{"qwen2.5:1.5b": "/folder"}``.
    """

    runs_dir: Path = Path("runs")
    data_dir: Path | None = None
    student: str = "nano"
    teacher: str = "rules"
    teacher_context: int = Field(default=0, ge=0)
    precision: Precision = "auto"
    max_tokens: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=8, ge=1, le=1024)
    egress: Policy = "redacted"
    tracing: Literal["off", "langsmith"] = "off"
    api_key_env: dict[str, str] = Field(default_factory=dict)
    embedder: str = ""
    teacher_embedder: str = ""
    models_dir: Path | None = None
    qdrant_url: str = ""
    llama_cpp: Path | None = None
    timeouts: Timeouts = Timeouts()
    labeller: LabellerSettings = LabellerSettings()
    training: Training = Training()
    budget: Budget = Budget()
    prices: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    faces: dict[str, Path] = Field(default_factory=dict)

    def price_table(self) -> PriceTable:
        """Return the built-in prices under the user's own.

        Raises:
            InputError: If an own price is none.
        """
        try:
            return PriceTable().override(dict(self.prices))
        except InputError as error:
            raise InputError(masked(error.message), error.hint) from error


@dataclass(frozen=True)
class _Said:
    """One value that somebody set, and where."""

    keys: tuple[str, ...]
    value: JsonValue
    where: str
    origin: Literal["file", "variable", "option"]


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Settings:
    """Return the settings: defaults < file < environment < overrides.

    Args:
        path: A TOML file that must be there; None for ``preceptor.toml``, if there is one.
        environ: ``PRECEPTOR_RUNS_DIR``, ``PRECEPTOR_BUDGET__DOLLARS``; ``PRECEPTOR_DATA`` is
            ``data_dir``. Names that end like a secret's are left alone.
        overrides: ``{"budget.dollars": "5"}``; a part with dots stands in double quotes.

    Raises:
        InputError: Naming the file, variable or option, and the key.
    """
    said = _said(path, environ, overrides)
    settings = _merged(said)
    for keys, value in _leaves(settings.model_dump(mode="json")):
        if isinstance(value, str) and (masked(value) != value or _holds_user(keys, value)):
            where = next((s.where for s in reversed(said) if s.keys == keys), "settings")
            raise InputError(
                f"{masked(where)}: {masked('.'.join(keys))}: a password or key in a URL is no setting",
                "write the URL without it; a secret stands in the environment (see: preceptor doctor)",
            )
    return settings


def _holds_user(keys: tuple[str, ...], value: str) -> bool:
    """Return whether a plain address, which names no model before an @, names a user."""
    return keys[-1] in ("qdrant_url", "batch_url") and "@" in value


@dataclass(frozen=True)
class Setting:
    """One setting as it stands.

    Attributes:
        key: ``budget.dollars``.
        value: What it is; a password in a URL is left out.
        origin: Which kind of place it comes from.
        where: The file, variable or option; empty for a default.
    """

    key: str
    value: JsonValue
    origin: Literal["default", "file", "variable", "option"]
    where: str = ""


def explain(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> list[Setting]:
    """Return every setting with its origin; arguments and errors are those of ``load``."""
    said = _said(path, environ, overrides)
    found: list[Setting] = []
    for keys, value in _leaves(_merged(said).model_dump(mode="json")):
        by = [one for one in said if one.keys[: len(keys)] == keys[: len(one.keys)]]
        key = ".".join(k if _BARE.fullmatch(k) else f'"{k}"' for k in keys)
        shown = masked(value) if isinstance(value, str) else value
        if by:
            found.append(Setting(masked(key), shown, by[-1].origin, masked(by[-1].where)))
        else:
            found.append(Setting(masked(key), shown, "default"))
    return found


def masked(text: str) -> str:
    """Return a text in which no URL carries a password or key."""
    return _QUERY.sub(r"\1***", _USER.sub(r"\1***@", text))


def check_address(what: str, spec: str) -> None:
    """Check that a model's name carries no secret: names stand in runs, reports and bundles.

    Raises:
        InputError: If there is a password or key in its URL.
    """
    if masked(spec) != spec:
        raise InputError(
            f"{what} {masked(spec)!r}: a password or key in a URL is no setting",
            "put the key in the environment, and name its variable: api_key_env",
        )


def check_url(url: str, name: str) -> None:
    """Refuse an address that no client can use; it is not quoted, since it may hold a password.

    Args:
        url: The address, with or without ``http://``; an empty one is the client's own default.
        name: Where it stands: ``OLLAMA_HOST``, or the model's name.

    Raises:
        InputError: Saying how it is written.
    """
    if url:
        parse(url, name)


def secrets(environ: Mapping[str, str]) -> dict[str, bool]:
    """Return the secrets that the program or its libraries may read, and whether they are set."""
    own = [n for n in environ if n.startswith(PREFIX) and n.endswith(_SECRET_ENDINGS)]
    return {name: bool(environ.get(name)) for name in (*SECRETS, *sorted(own))}


def _said(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]) -> list[_Said]:
    return [*_from_file(path), *_from_environment(environ), *_from_options(overrides)]


def _merged(said: list[_Said]) -> Settings:
    merged: dict[str, JsonValue] = {}
    for one in said:
        _place(merged, one)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as cause:
        raise _wrong(cause, said) from cause
    settings.price_table()
    return settings


def secret(name: str, environ: Mapping[str, str]) -> SecretStr | None:
    """Return a secret from the environment, None if it is not there; it prints as asterisks."""
    return SecretStr(environ[name]) if environ.get(name) else None


def _from_file(path: Path | None) -> Iterator[_Said]:
    file = path or Path("preceptor.toml")
    if path is None and not file.is_file():
        return
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as cause:
        raise InputError(f"{str(file)!r} cannot be read", "check the path given") from cause
    except ValueError as cause:  # bad TOML, or bytes that are no UTF-8
        raise InputError(f"{file}: no TOML: {cause}", "correct that line") from cause
    for keys, value in _leaves(content):
        yield _Said(keys, value, str(file), "file")


def _leaves(
    content: Mapping[str, JsonValue], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Said]:
    for name, value in sorted(environ.items()):
        if name in _ALIASES:
            yield _Said(_ALIASES[name], value, name, "variable")
        elif name.startswith(PREFIX) and not name.startswith(_FOREIGN):
            if not name.endswith(_SECRET_ENDINGS):
                keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
                yield _Said(keys, value, name, "variable")


def _from_options(overrides: Mapping[str, str]) -> Iterator[_Said]:
    for key, value in overrides.items():
        where = f"--set {key}"
        try:
            [(keys, _)] = _leaves(tomllib.loads(f"{key} = 0"))
        except ValueError as cause:
            raise InputError(f"{where}: no key", "write --set a.b=value") from cause
        yield _Said(keys, value, where, "option")


def _place(merged: dict[str, JsonValue], said: _Said) -> None:
    inner = merged
    for key in said.keys[:-1]:
        deeper = inner.setdefault(key, {})
        if not isinstance(deeper, dict):
            raise InputError(f"{said.where}: {key!r} has no parts", "set it as a whole")
        inner = deeper
    inner[said.keys[-1]] = said.value


def _wrong(cause: ValidationError, said: list[_Said]) -> InputError:
    """Return the error for the first wrong key, with where it was last set."""
    problem = cause.errors(include_input=False)[0]
    keys = tuple(str(part) for part in problem["loc"])
    wheres = [one.where for one in said if one.keys[: len(keys)] == keys[: len(one.keys)]]
    where = wheres[-1] if wheres else "settings"
    key = ".".join(keys)
    if problem["type"] != "extra_forbidden":
        return InputError(f"{where}: {key}: {problem['msg']}", "correct the value")
    if key.upper().endswith(_SECRET_ENDINGS):
        return InputError(
            f"{where}: {key}: a secret is no setting", "put it in the environment instead"
        )
    return InputError(f"{where}: unknown key {key!r}", f"known: {_known(keys[:-1])}")


def _known(above: tuple[str, ...]) -> str:
    parts: dict[str, type[Record]] = {
        "budget": Budget,
        "timeouts": Timeouts,
        "labeller": LabellerSettings,
        "training": Training,
    }
    return ", ".join(sorted(parts.get("".join(above[:1]), Settings).model_fields))
