"""A run is a folder: its configuration, trace, cache, artefacts, lock, stop file.

Owns the layout, its version, and the log of openings of sealed test sets beside the runs. Leaves what
happens in a run to ``graphs``, and what is shown of it to the front door.

    runs/openings.jsonl          every opening of a sealed test set
    runs/<name>/run.json         format, created, program, config; written once
    runs/<name>/trace.jsonl      what happened
    runs/<name>/cache.sqlite     answers
    runs/<name>/ledger.sqlite    money
    runs/<name>/artefacts/ab/…   anything, by content hash
    runs/<name>/lock, stop       who works on it; a file that asks to stop
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from preceptor.core import lock as locking
from preceptor.core import private
from preceptor.core.cache import AnswerCache
from preceptor.core.errors import InputError, StoreError
from preceptor.core.files import JsonLines, compact, store_error, sync_folder, write_whole
from preceptor.core.reading import loads
from preceptor.core.record import Record, digest
from preceptor.core.trace import Trace

FORMAT_VERSION = 1
"""Rises when an older program could no longer read a run folder."""

R = TypeVar("R", bound=Record)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


class RunInfo(Record):
    """What ``run.json`` says.

    Attributes:
        format: The folder's format version.
        created: When, in UTC, ISO 8601.
        program: The version of the program that made it.
        config: Everything the run was started with.
    """

    format: int
    created: str
    program: str
    config: dict[str, JsonValue]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _program() -> str:
    try:
        return version("preceptor")
    except PackageNotFoundError:
        return "unknown"


class Artefacts:
    """Bytes by content hash; whatever has been put is there whole, or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where the artefact of this content hash lies, or would lie.

        Raises:
            StoreError: If it is no content hash.
        """
        if not _DIGEST.fullmatch(name):
            raise StoreError(f"{name!r} is not a content hash", "give the hash that put returned")
        return self._folder / name[:2] / name

    def put(self, data: bytes | str) -> str:
        """Store bytes, or a text as UTF-8, and return their content hash.

        Raises:
            StoreError: If the disk is full or read-only; nothing is left behind then.
        """
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        name = digest(raw)
        path = self.path(name)
        try:
            if path.is_file() and path.stat().st_size == len(raw) and path.read_bytes() == raw:
                return name
            private.make_folder(path.parent, parents=True, exist_ok=True)
        except OSError as cause:
            raise store_error("write", path, cause) from cause
        write_whole(path, raw)
        return name

    def get(self, name: str) -> bytes:
        """Return the bytes of this content hash.

        Raises:
            StoreError: If they are missing, or no longer what was put.
        """
        path = self.path(name)
        try:
            raw = path.read_bytes()
        except FileNotFoundError as cause:
            raise StoreError(
                f"artefact {name} is missing from {str(self._folder)!r}", "start a new run"
            ) from cause
        except OSError as cause:
            raise store_error("read", path, cause) from cause
        if digest(raw) != name:
            raise StoreError(
                f"artefact {str(path)!r} is damaged: its hash does not match",
                "remove that file, then resume",
            )
        return raw

    def put_record(self, record: Record) -> str:
        """Store a record as canonical JSON; the hash returned is its ``fingerprint``."""
        return self.put(record.to_json())

    def get_record(self, name: str, kind: type[R]) -> R:
        """Return the record of this content hash.

        Raises:
            StoreError: If it is missing, damaged, or no such record.
        """
        try:
            return kind.from_json(self.get(name))
        except ValidationError as cause:
            raise StoreError(
                f"artefact {name} is no {kind.__name__}", "use the preceptor that wrote this run"
            ) from cause


class RunStore:
    """One run's folder. Opening it locks nothing and writes nothing."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    @staticmethod
    def create(root: Path, name: str, config: Mapping[str, JsonValue]) -> RunStore:
        """Make a run's folder; it appears whole, or not at all.

        Args:
            root: The folder of all runs, made if it is missing.
            name: The new folder's name.
            config: Everything the run is started with; no secret belongs here.

        Raises:
            InputError: If the name cannot be a folder's name.
            StoreError: If there is such a run already, or the disk refuses.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"run name {name!r}", "letters, digits, '.', '_' and '-', 100 at most, no leading dot"
            )
        path = root / name
        info = RunInfo(format=FORMAT_VERSION, created=_now(), program=_program(), config=dict(config))
        temporary = root / f".{name}.{os.getpid()}.tmp"
        try:
            private.make_folder(temporary, parents=True)
            private.make_folder(temporary / "artefacts")
            write_whole(temporary / "run.json", compact(info.model_dump(mode="json")))
            if path.exists():
                raise StoreError(f"{str(path)!r} exists already", "resume it, or choose another name")
            temporary.rename(path)
            sync_folder(root)
        except OSError as cause:
            raise store_error("make", path, cause) from cause
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return RunStore(path, info)

    @staticmethod
    def open(path: Path) -> RunStore:
        """Open a run's folder.

        Raises:
            StoreError: If it is missing, no run, damaged, or of a newer version.
        """
        file = path / "run.json"
        try:
            said = loads(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as cause:
            raise StoreError(
                f"{str(path)!r} is not a run: it has no run.json", "see: preceptor runs list"
            ) from cause
        except OSError as cause:
            raise store_error("read", file, cause) from cause
        except ValueError as cause:
            raise StoreError(f"{str(file)!r} is damaged: no JSON", "start a new run") from cause
        found = said.get("format") if isinstance(said, dict) else None
        if isinstance(found, int) and found > FORMAT_VERSION:
            raise StoreError(
                f"run {path.name!r} has format {found}, this program reads up to {FORMAT_VERSION}",
                f"use preceptor {said.get('program', 'of a newer version')}",
            )
        try:
            return RunStore(path, RunInfo.model_validate(said))
        except ValidationError as cause:
            raise StoreError(
                f"{str(file)!r} is damaged: not what a run says", "start a new run"
            ) from cause

    @property
    def name(self) -> str:
        """The folder's name, which is the run's id."""
        return self.path.name

    @property
    def config(self) -> dict[str, JsonValue]:
        """Everything the run was started with."""
        return self.info.config

    def said(self, key: str, kind: type[R]) -> R:
        """Return a part of what the run was started with.

        Raises:
            StoreError: If ``run.json`` does not have it, or not so that this program can read it.
        """
        try:
            return kind.model_validate(self.config[key])
        except (KeyError, ValidationError) as cause:
            raise StoreError(
                f"{str(self.path / 'run.json')!r} is damaged, or of another version: {key!r}",
                "use the preceptor that wrote this run, or start a new one",
            ) from cause

    @cached_property
    def trace(self) -> Trace:
        """What happened."""
        return Trace(self.path / "trace.jsonl")

    @cached_property
    def cache(self) -> AnswerCache:
        """The run's answers; opened on first use."""
        return AnswerCache(self.path / "cache.sqlite")

    @cached_property
    def artefacts(self) -> Artefacts:
        """Everything heavy."""
        return Artefacts(self.path / "artefacts")

    @property
    def ledger_path(self) -> Path:
        """Where the run's ledger lies."""
        return self.path / "ledger.sqlite"

    @property
    def stop_requested(self) -> bool:
        """Whether a file named ``stop`` lies in the folder."""
        return (self.path / "stop").exists()

    def clear_stop(self) -> None:
        """Take the stop file away."""
        (self.path / "stop").unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run alone; what is made meanwhile, only its owner may read.

        Raises:
            StoreError: On entering, if another process holds it.
        """
        with private.owner_only(), locking.lock(self.path):
            yield


@dataclass(frozen=True)
class Listed:
    """One line of a list of runs.

    Attributes:
        path: The folder.
        info: What it says; None if it cannot be opened.
        problem: Why not.
        holder: Who works on it now, None if nobody.
    """

    path: Path
    info: RunInfo | None
    problem: str
    holder: str | None


def list_runs(root: Path) -> list[Listed]:
    """Return the runs under ``root``, oldest first; those that cannot be opened say why."""
    found = [path.parent for path in root.glob("*/run.json") if not path.parent.name.startswith(".")]
    listed = [_listed(path) for path in found]
    return sorted(listed, key=lambda run: (run.info.created if run.info else "", run.path.name))


def _listed(path: Path) -> Listed:
    try:
        return Listed(path, RunStore.open(path).info, "", locking.holder(path))
    except StoreError as error:
        return Listed(path, None, str(error), locking.holder(path))


def remove(path: Path) -> None:
    """Delete a run's folder.

    Raises:
        StoreError: If it is not a run, if a process holds it, or if the disk refuses.
    """
    if path.is_symlink() or not (path / "run.json").is_file():
        raise StoreError(f"{str(path)!r} is not a run", "see: preceptor runs list")
    with locking.lock(path):
        away = path.with_name(f".{path.name}.{os.getpid()}.removed")
        try:
            path.rename(away)
            shutil.rmtree(away)
        except OSError as cause:
            raise store_error("remove", path, cause) from cause


class Opening(Record):
    """One look at a sealed test set.

    Attributes:
        time: When, in UTC, ISO 8601.
        task: The task's name.
        test_digest: The content hash of the sealed notes.
        run: The run that looked.
        recipe: The recipe that was tested.
    """

    time: str
    task: str
    test_digest: str
    run: str
    recipe: str


def _all_openings(root: Path) -> Iterator[Opening]:
    path = root / "openings.jsonl"
    for number, value in JsonLines(path).read():
        try:
            yield Opening.model_validate(value)
        except ValidationError as cause:
            raise StoreError(
                f"{path} line {number}: not an opening", "the file was changed by hand"
            ) from cause


def log_opening(root: Path, task_name: str, test_digest: str, run_id: str, recipe: str) -> None:
    """Write down that a run opens a sealed test set; a resumed run does not count again.

    Args:
        root: The folder of all runs.
        task_name: The task.
        test_digest: The content hash of its sealed notes.
        run_id: The run's name.
        recipe: The fingerprint of the recipe that is tested.
    """
    opening = Opening(time=_now(), task=task_name, test_digest=test_digest, run=run_id, recipe=recipe)
    same = opening.model_dump(exclude={"time"})
    with JsonLines(root / "openings.jsonl").writing() as writer:
        known = [{**value, "time": None} for value in writer.unseen()]
        if {**same, "time": None} not in known:
            writer.append(opening.model_dump())


def openings(root: Path, task_name: str) -> list[Opening]:
    """Return how often, when and by whom a task's sealed test sets were opened, oldest first."""
    return [opening for opening in _all_openings(root) if opening.task == task_name]
