"""What is trained: a job, its hyper-parameters and profiles, and what came of it.

Owns the files of a job's folder and the identity of a job: everything that decides the weights (base
model, start adapter, data, hyper-parameters, seed, limits) and nothing else, so that a finished job is
never run again, wherever its folder lies. Paths stand beside it in ``paths.json``.

    job.json       the job; its fingerprint is the folder's name
    paths.json     where base model, start adapter and lock lie on this machine
    data.jsonl     one training row per line; as private as the notes it is made of
    events.jsonl   progress
    checkpoints/   what a killed job goes on from
    portion.json   how much fits into memory at once, if less than a batch
    plan.json      the rate and the epochs, if they were found by trying
    log.txt        what the process printed
    cancel         a file that asks to stop
    failure.json   why it failed, if it did
    result.json    what came of it; with adapter/, the last thing written
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from preceptor.core.errors import InputError, PreceptorError
from preceptor.core.record import Record
from preceptor.core.records import AdapterRef

JOB, PATHS, DATA, EVENTS = "job.json", "paths.json", "data.jsonl", "events.jsonl"
CHECKPOINTS, LOG, CANCEL, FAILURE = "checkpoints", "log.txt", "cancel", "failure.json"
RESULT, ADAPTER, MERGED, PORTION = "result.json", "adapter", "merged", "portion.json"

BUSY_JOB, BUSY_DEVICE = 75, 76
"""Exit codes of the training process: this job, or another one here, is being trained already."""

Method = Literal["lora", "qlora", "full"]
ProfileName = Literal["quick", "standard", "thorough"]


class Hyper(Record):
    """How to train, within bounds that a small model survives.

    Attributes:
        method: Adapters on every linear layer; the same over 4-bit weights (needs a GPU and
            bitsandbytes); or all weights, for small models.
        rank: Of the adapters.
        alpha: Their scale; the update is multiplied by alpha / rank.
        rate: The highest learning rate; by the model's size if None (``rate_for``).
        epochs: Passes over the rows, at most.
        batch: Answers to one field per step, those of a note at least; if None, those of several
            notes (``training.batch_of``). Memory decides how many rows are computed at once.
        warmup: The part of the steps in which the rate rises; it falls as a cosine after.
        validation: The part of the training patients that is not trained on but tells when to stop.
        patience: Epochs without a lower loss on them that end training; 0: never.
        frame: What a token weighs in the loss that the schema forces, where one that decides weighs 1.
        probe: Whether the rate is chosen among some around the usual one, by a short training at
            each, where the time limit leaves room for that (``probing``).
        share: Whether what a note's rows have in common is computed once, where that changes no loss.
        bf16: Whether products are computed in bfloat16 where the machine does that fast.
        skip: Linear layers that get no adapters, by the end of their names.
    """

    method: Method = "lora"
    rank: int = Field(default=16, ge=4, le=64)
    alpha: int = Field(default=32, ge=4, le=256)
    rate: float | None = Field(default=None, ge=1e-6, le=1e-2)
    epochs: int = Field(default=4, ge=1, le=20)
    batch: int | None = Field(default=None, ge=1, le=128)
    warmup: float = Field(default=0.1, ge=0, le=0.5)
    validation: float = Field(default=0.15, ge=0, le=0.4)
    patience: int = Field(default=2, ge=0, le=10)
    frame: float = Field(default=0.1, ge=0, le=1)
    probe: bool = False
    share: bool = True
    bf16: bool = True
    skip: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what skips nothing, so that the hashes of jobs stay what they were."""
        made: dict[str, object] = handler(self)
        if not self.skip:
            del made["skip"]
        return made


PROFILES: dict[ProfileName, Hyper] = {
    "quick": Hyper(epochs=2, patience=0, validation=0),
    "standard": Hyper(probe=True),
    "thorough": Hyper(rank=32, alpha=64, epochs=10, patience=3, probe=True),
}
"""Named hyper-parameters: a first look, the usual, and as long as it helps."""


def rate_for(method: Method, parameters: int) -> float:
    """Return a learning rate for a model of so many parameters.

    A rule of thumb. Adapters: 2e-4 on a billion parameters (Hu et al. 2021, table D.3), more on smaller
    models by the square root of their size. All weights: through 2e-5 at a billion parameters, which is
    common, and 2e-3 for the embedded student's 2.6 million, which was tried.
    """
    smaller = 1e9 / max(parameters, 1)
    rate = 2e-5 * smaller**0.775 if method == "full" else 2e-4 * math.sqrt(smaller)
    return min(max(rate, 1e-6), 4e-3)


class Limits(Record):
    """What a job may take.

    Attributes:
        seconds: Training ends after so many, over all its processes; what was learned is kept if
            an epoch was done.
        window: The most tokens of a row; the model's own limit if None.
        checkpoint_seconds: How often a checkpoint is written, beside the end of each epoch; less often
            where writing them would take more than a small part of the time.
    """

    seconds: float = Field(default=1800.0, gt=0)
    window: int | None = Field(default=None, ge=16)
    checkpoint_seconds: float = Field(default=60.0, ge=0)


class Base(Record):
    """The model that is trained: its name, and the content hash of its folder."""

    spec: str
    digest: str


class Job(Record):
    """One training. Equal fingerprint means the same weights, on the same machine.

    Attributes:
        base: The model.
        start: Weights to go on from, if any.
        data: The content hash of ``data.jsonl``.
        rows: How many rows it has.
        hyper: How.
        limits: Within what.
        seed: Of everything random.
        merge: Whether to write merged weights, too.
    """

    format: int = 1
    base: Base
    start: AdapterRef | None = None
    data: str
    rows: int
    hyper: Hyper = Hyper()
    limits: Limits = Limits()
    seed: int = 0
    merge: bool = False

    @property
    def kind(self) -> Literal["lora", "merged"]:
        """What comes out: adapters, or whole weights where whole weights were trained."""
        whole = self.hyper.method == "full" or (self.start is not None and self.start.kind == "merged")
        return "merged" if whole else "lora"


class Paths(Record):
    """Where things lie on this machine; relative paths start at the job's folder.

    Attributes:
        base: The base model's folder.
        start: The folder of the adapter to go on from; empty if there is none.
        lock: A folder whose lock keeps two trainings apart; empty for no lock.
    """

    base: str
    start: str = ""
    lock: str = ""


Stopped = Literal["done", "patience", "time"]


class Result(Record):
    """What came of a job.

    Attributes:
        job: Its fingerprint.
        base: The base model's content hash.
        adapter: The weights, by content hash.
        files: SHA-256 of each of their files.
        stopped: All epochs done, no more gain, or out of time.
        rows: Trained on.
        validation_rows: Held out to tell when to stop.
        tokens: Read while training, padding not counted.
        steps: Done, over all processes.
        best_step: The step whose weights were kept.
        seconds: Training, over all processes; loading is not counted.
        losses: One per step: the weighted mean that is minimised.
        decisions: The mean loss of the tokens that decide something, one per step.
        frames: Likewise of those that the schema forces.
        validation: (step, loss of the tokens that decide) per epoch, on the patients aside.
        scores: (step, share of right answers there by their worth in the run's metric) per epoch.
        guess: What the loss of the tokens that decide would be for somebody who does not read the note
            and knows how often each answer is given.
        reached: What it was in the end: on the patients aside if there are any, else over the last
            epoch.
        learned: Whether that is better than guessing.
        rate: The highest learning rate.
        epochs: Passes that were planned: fewer than asked for where the time limit left no room.
        tried: (rate, loss of the tokens that decide) of the short trainings before it.
        parts: In how many parts a batch was computed.
        device: Where.
        memory_mb: The most memory that the process held.
    """

    job: str
    base: str
    adapter: AdapterRef
    files: dict[str, str]
    stopped: Stopped
    rows: int
    validation_rows: int
    tokens: int
    steps: int
    best_step: int
    seconds: float
    losses: tuple[float, ...]
    decisions: tuple[float, ...] = ()
    frames: tuple[float, ...] = ()
    validation: tuple[tuple[int, float], ...] = ()
    scores: tuple[tuple[int, float], ...] = ()
    guess: float = 0.0
    reached: float = 0.0
    learned: bool = True
    rate: float
    epochs: int = 0
    tried: tuple[tuple[float, float], ...] = ()
    parts: int
    device: str
    memory_mb: int


FailureKind = Literal[
    "setup", "data", "too_long", "out_of_memory", "disk", "nan", "time", "cancelled", "crash"
]


class Failure(Record):
    """Why a job failed: one line that quotes no note, and what to do."""

    kind: FailureKind
    message: str
    hint: str = ""


class Failed(PreceptorError):
    """The training process cannot go on; it says so in ``failure.json``."""

    def __init__(self, message: str, hint: str = "", kind: FailureKind = "crash") -> None:
        super().__init__(message, hint)
        self.kind: FailureKind = kind


def read_result(folder: Path, job: Job) -> Result | None:
    """Return the result in a job's folder, None if it is not finished.

    Raises:
        InputError: If what stands there is of another job, or is damaged.
    """
    file = folder / RESULT
    if not file.is_file():
        return None
    try:
        result = Result.from_json(file.read_bytes())
    except (ValidationError, ValueError) as cause:
        raise InputError(f"{str(file)!r} is no result of a training", "remove that folder") from cause
    if result.job != job.fingerprint:
        raise InputError(f"{str(file)!r} is the result of another job", "remove that folder")
    return result
