"""A job on another machine: out as a folder that trains by itself, back as a result.

Owns what is in that folder, and what is checked before its result is believed. The folder needs Python
with ``preceptor[local]`` there, and nothing else of this machine.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from preceptor.core import private
from preceptor.core.errors import InputError
from preceptor.core.files import compact, store_error, write_whole
from preceptor.core.record import digest
from preceptor.tools.sft import base, data, submit
from preceptor.tools.sft.job import ADAPTER, DATA, JOB, PATHS, RESULT, Job, Paths, Result, read_result
from preceptor.tools.sft.launch import Launch
from preceptor.tools.sft.runner import Runner

_README = """\
# Training job {fingerprint}

Base model: `{spec}` (content hash `{digest}`){where}. {rows} rows, {method}, {epochs} epochs at most.
`data.jsonl` holds the text of notes: treat this folder like the notes.

    python3 -m venv env && env/bin/pip install 'preceptor[local]'
    {base}PYTHON=env/bin/python sh run.sh

The command can be killed at any time and given again: it goes on from its last checkpoint. It is done
when `result.json` is there. Then bring this folder back and import it; the rows are checked, and that
the weights are the ones that `result.json` names, for the model that the job names.

Slurm: `sbatch job.sbatch`. Kubernetes: `job.yaml`, with this folder in a volume. SkyPilot: `sky.yaml`.
dstack: `job.dstack.yml`. Elsewhere the command is `sh run.sh`, with this folder as the working
directory.
"""

_SCRIPT = """\
#!/bin/sh
set -e
exec {command}{option}
"""


_NO_BASE = "set BASE to the folder of the base model, which did not come along"


@dataclass(frozen=True)
class Parcel:
    """How a job is carried.

    Attributes:
        with_base: Whether the base model goes along; else it must be there, and is named by hand.
        launch: How it is started there.
    """

    with_base: bool = False
    launch: Launch = field(default_factory=Launch)


def export_job(folder: Path, job: Job, rows: bytes, paths: Paths, how: Parcel | None = None) -> Path:
    """Write a folder in which a job can be trained on another machine.

    Args:
        folder: Where; it must not be there, or be empty.
        job: The job.
        rows: The content of ``data.jsonl``.
        paths: Where base model and start adapter lie here.
        how: With or without the base model, and how it is started there.

    Returns:
        The folder.

    Raises:
        InputError: If the folder is not empty, or the rows are not the job's.
        StoreError: If the disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is not empty", "name a new folder")
    if digest(rows) != job.data:
        raise InputError("these are not the rows of this job", "prepare the job again")
    how = how or Parcel()
    python = '"${PYTHON:-python3}"'
    option = "" if how.with_base else f' --base "${{BASE:?{_NO_BASE}}}"'
    words = {
        "fingerprint": job.fingerprint,
        "spec": job.base.spec,
        "digest": job.base.digest,
        "where": ", in `base/`" if how.with_base else "",
        "command": " ".join([python, *how.launch.command("", JOB)[1:]]),
        "rows": job.rows,
        "method": job.hyper.method,
        "epochs": job.hyper.epochs,
        "option": option,
        "base": "" if how.with_base else "BASE=/folder/of/the/base/model ",
    }
    there = Paths(base="base" if how.with_base else "", start="start" if paths.start else "")
    fresh = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        private.make_folder(fresh, parents=True)
        if how.with_base:
            _copy(Path(paths.base), fresh / "base")
        if paths.start:
            _copy(Path(paths.start), fresh / "start")
        write_whole(fresh / DATA, rows)
        write_whole(fresh / JOB, job.to_json().encode())
        write_whole(fresh / PATHS, compact(there.model_dump(mode="json")))
        write_whole(fresh / "README.md", _README.format(**words).encode())
        write_whole(fresh / "run.sh", _SCRIPT.format(**words).encode())
        for name, text in submit.files(job.fingerprint, how.launch.processes or 1).items():
            write_whole(fresh / name, text.encode())
        if folder.is_dir():
            folder.rmdir()
        fresh.rename(folder)
    except OSError as cause:
        raise store_error("write", folder, cause) from cause
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    private.close(target)


def import_job(folder: Path, root: Path, expected: Job | None = None) -> Result:
    """Take the result of an exported job back, after checking it.

    Args:
        folder: The folder that came back.
        root: The folder of all trainings here; a move that asks for this job finds it finished.
        expected: The job that was sent, to be sure that it is this one.

    Raises:
        InputError: If it is not finished, another job, another model's, or damaged.
        StoreError: If the disk refuses.
    """
    try:
        job = Job.from_json((folder / JOB).read_bytes())
        rows = (folder / DATA).read_bytes()
    except (OSError, ValidationError, ValueError) as cause:
        raise InputError(
            f"no training job in {str(folder)!r}", "bring back the whole folder"
        ) from cause
    if expected is not None and job != expected:
        raise InputError(f"{str(folder)!r} is not the job that was sent", "bring back the right folder")
    if digest(rows) != job.data:
        raise InputError("data.jsonl is not the job's data", "bring back the folder as it was")
    data.check(list(data.load(rows)))
    result = read_result(folder, job)
    if result is None:
        raise InputError(f"the job in {str(folder)!r} is not finished", f"it has no {RESULT} yet")
    about = base.read_about(folder / ADAPTER)
    named = {result.adapter.digest, about.adapter.digest, base.weights_digest(result.files)}
    if len(named) > 1 or base.file_hashes(folder / ADAPTER) != result.files:
        raise InputError("the weights are not the ones that the result names", "bring them back again")
    if {result.base, about.base} != {job.base.digest}:
        raise InputError("the weights were trained on another base model", "train them again")
    runner = Runner(root)
    target = runner.folder(job)
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target / ADAPTER, ignore_errors=True)
        _copy(folder / ADAPTER, target / ADAPTER)
    except OSError as cause:
        raise store_error("write", target, cause) from cause
    for name in (DATA, JOB, RESULT):
        write_whole(target / name, (folder / name).read_bytes())
    found = runner.result(job)
    assert found is not None
    return found
