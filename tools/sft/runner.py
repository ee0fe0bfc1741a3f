"""Starts the training process and watches it; the process that calls this never imports torch.

Owns the child: one per job's folder, found again after its parent died, ended when it must end. Whether
a child lives is told by the lock that it holds on the job's folder, which the kernel gives back however
it ends. Leaves what is trained to ``job`` and what came of it to ``finetune``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import child, lock, private
from preceptor.core.errors import InputError, Interrupted
from preceptor.core.files import compact, store_error, write_whole
from preceptor.core.ports import Cancel, OnProgress
from preceptor.tools.sft import base, device, kept, quoting
from preceptor.tools.sft.events import Reader, progress
from preceptor.tools.sft.job import (
    ADAPTER,
    BUSY_DEVICE,
    BUSY_JOB,
    CANCEL,
    DATA,
    FAILURE,
    JOB,
    LOG,
    PATHS,
    RESULT,
    Failure,
    Job,
    Paths,
    Result,
    read_result,
)
from preceptor.tools.sft.launch import Launch

POLL = 0.2
GRACE = 180.0
"""Seconds beyond its limit that a process gets for loading and writing before it is ended."""
SOON = 20.0
"""Seconds between asking a process to stop and ending it."""
_LESS = "memory may have run out: a smaller 'batch', or a smaller model, takes less; "


@dataclass(frozen=True)
class Runner:
    """Runs jobs under one folder: ``jobs/`` and ``adapters/``.

    Attributes:
        root: That folder.
        lock: A folder whose lock keeps two trainings of this machine apart; None for no lock.
        python: The interpreter.
        launch: How the training process is started.
        most: The seconds that one attempt may take, of those that the job may; None for all of them.
    """

    root: Path
    lock: Path | None = None
    python: str = sys.executable
    launch: Launch = field(default_factory=Launch)
    most: float | None = None

    def folder(self, job: Job) -> Path:
        """Return where a job lies."""
        return self.root / "jobs" / job.fingerprint

    def result(self, job: Job) -> Result | None:
        """Return what came of a job, None if it is not finished or its weights are gone or damaged.

        Damaged ones are made anew of the job's own copy, if that is whole.

        Raises:
            InputError: If what stands there is of another job, or is no result.
            StoreError: If the disk refuses.
        """
        result = read_result(self.folder(job), job)
        if result is None:
            return None
        at, own = base.adapter_folder(self.root, result.adapter), self.folder(job) / ADAPTER
        if not kept.is_whole(at, result) and kept.is_whole(own, result):
            kept.publish(own, at, result)
        return result if kept.is_whole(at, result) else None

    def run(
        self,
        job: Job,
        rows: bytes,
        paths: Paths,
        on_progress: OnProgress | None = None,
        cancel: Cancel | None = None,
    ) -> Result:
        """Return what comes of a job: at once if it is finished, else by training it.

        Args:
            job: What to train.
            rows: The content of ``data.jsonl``.
            paths: Where base model and start adapter lie; the lock is the runner's.
            on_progress: Hears about steps.
            cancel: Asked again and again; True stops training, which can be resumed.

        Raises:
            InputError: If training fails, in one line; another process may be training here.
            Interrupted: If it was cancelled.
            StoreError: If the disk refuses.
        """
        known = self.result(job)
        if known is not None:
            return known
        folder = self._prepare(job, rows, paths)
        limits = [job.limits.seconds, *([self.most] if self.most is not None else [])]
        child = _Child(self, folder, min(limits) + GRACE)
        child.follow(on_progress, cancel)
        result = self.result(job)
        if result is None:
            raise _error(folder, child.code, self.lock)
        return result

    def _prepare(self, job: Job, rows: bytes, paths: Paths) -> Path:
        folder = self.folder(job)
        try:
            private.make_folder(folder, parents=True, exist_ok=True)
        except OSError as cause:
            raise store_error("make", folder, cause) from cause
        if lock.holder(folder) is None:
            if not (folder / DATA).is_file() or (folder / DATA).read_bytes() != rows:
                write_whole(folder / DATA, rows)
            held = str(self.lock.resolve()) if self.lock is not None else ""
            said = paths.model_copy(update={"lock": held}).model_dump(mode="json")
            write_whole(folder / PATHS, compact(said))
            write_whole(folder / JOB, job.to_json().encode())
            # A result without its weights is none: they are trained again.
            lost = [RESULT] if self.result(job) is None else []
            for name in (CANCEL, FAILURE, *lost):
                (folder / name).unlink(missing_ok=True)
        return folder


def _tell(reader: Reader, on_progress: OnProgress | None) -> None:
    """Pass on what the process has said since the last time."""
    for event in reader.new():
        told = progress(event)
        if told is not None and on_progress is not None:
            on_progress(told)


class _Child:
    """One training process: ours, or one that an earlier process of ours left behind."""

    def __init__(self, runner: Runner, folder: Path, seconds: float) -> None:
        self._runner, self._folder = runner, folder
        self._deadline = time.monotonic() + seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: float | None = None
        self._why = ""
        self._adopted = False
        self.code: int | None = None

    def follow(self, on_progress: OnProgress | None, cancel: Cancel | None) -> None:
        """Wait until the process ends; start it unless one is there.

        Raises:
            Interrupted: If it was cancelled.
            InputError: If it did not end in time.
        """
        reader = Reader(self._folder)
        with self._ended_on_error():
            while self._is_running():
                _tell(reader, on_progress)
                self._stop_if_asked(cancel)
                time.sleep(POLL)
        _tell(reader, on_progress)  # what came between the last look and the end
        if self._why == "cancelled" and self.code != 0:
            raise Interrupted("training was cancelled", "resume continues where it was")
        if self._why == "time" and self.code != 0:
            raise InputError("training took longer than its limit and was ended", "give it more time")

    def _is_running(self) -> bool:
        """Tell whether to go on waiting; starts the process where none is."""
        if self._process is None:
            if lock.holder(self._folder) is not None:
                if self._runner.lock is not None and not self._adopted:
                    device.adopt(self._runner.lock, self._folder)
                self._adopted = True
                return True
            ended = (RESULT, FAILURE) if self._adopted else (RESULT,)
            if self._why or any((self._folder / name).is_file() for name in ended):
                return False
            self._process = self._start()
        self.code = self._process.poll()
        if self.code == BUSY_JOB or (self.code and self._is_left()):
            # Somebody else began the same job a moment before: wait for it.
            self._process = None
            return True
        return self.code is None

    def _is_left(self) -> bool:
        """Tell whether a launcher has ended and the job is held by somebody all the same."""
        launched = self._runner.launch.launcher != "python"
        return launched and lock.holder(self._folder) is not None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._runner.lock is not None:
            device.end_orphan(self._runner.lock, self._folder, SOON)
        command = self._runner.launch.command(self._runner.python, self._folder / JOB)
        command += ["--parent", str(os.getpid())]
        if self._runner.most is not None:
            command += ["--seconds", f"{self._runner.most:.3f}"]
        try:
            with (self._folder / LOG).open("ab") as log:
                # A session of its own: Ctrl-C at a terminal reaches us alone, and we cancel it.
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=child.environ(**self._runner.launch.environ()),
                    start_new_session=True,
                )
        except OSError as cause:
            raise store_error("start training in", self._folder, cause) from cause

    def _stop_if_asked(self, cancel: Cancel | None) -> None:
        now = time.monotonic()
        if self._asked is None:
            if cancel is not None and cancel():
                self._ask("cancelled")
            elif now > self._deadline:
                self._ask("time")
        elif now > self._asked + SOON:
            self._end()
        elif not (self._folder / CANCEL).exists():
            # A process that has just begun takes it for a request to the one before.
            write_whole(self._folder / CANCEL, b"")

    def _ask(self, why: str) -> None:
        self._why, self._asked = why, time.monotonic()
        write_whole(self._folder / CANCEL, b"")

    def _end(self) -> None:
        """End the process, ours or the one that holds the job's lock."""
        if self._process is not None:
            self.code = self._killed(self._process)
            return
        pid = device.holder(self._folder)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    @contextmanager
    def _ended_on_error(self) -> Iterator[None]:
        """Leave no process behind when waiting for it is broken off (Ctrl-C)."""
        finished = False
        try:
            yield
            finished = True
        finally:
            if not finished and self._process is not None and self._process.poll() is None:
                self._killed(self._process)

    def _killed(self, process: subprocess.Popen[bytes]) -> int:
        """End a process; a launcher gets the time to end its own first."""
        if self._runner.launch.launcher != "python":
            process.terminate()
            try:
                return process.wait(SOON + SOON)
            except subprocess.TimeoutExpired:
                pass
        process.kill()
        return process.wait()


def _error(folder: Path, code: int | None, machine: Path | None) -> Exception:
    """Return the one line that says why a process gave no result."""
    if code == BUSY_DEVICE and machine is not None:
        return device.busy(machine)
    try:
        failure = Failure.from_json((folder / FAILURE).read_bytes())
    except (OSError, ValidationError, ValueError):
        ended = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        # Who killed it is not known: less at once by itself would change the losses' last digits.
        less = _LESS if code == -signal.SIGKILL else ""
        last = quoting.without_notes(_last_line(folder / LOG), folder / DATA)
        return InputError(
            f"the training process ended {ended}" + (f": {last}" if last else ""),
            f"{less}see {folder / LOG}; trying again goes on from the last checkpoint",
        )
    kind = Interrupted if failure.kind == "cancelled" else InputError
    return kind(failure.message, failure.hint)


def _last_line(log: Path) -> str:
    try:
        return child.last_line(log.read_bytes())
    except OSError:
        return ""
