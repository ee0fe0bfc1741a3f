"""The training process: ``python -m preceptor.tools.sft.train JOB/job.json``.

Owns the order of a training, from the job's folder to ``result.json`` in it, and what it becomes when
it goes wrong: one line in ``failure.json``. It can be killed at any time and started again: it goes on
from the last whole checkpoint, and does nothing if the job is finished. Heavy packages are imported
once it is clear that there is work.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from preceptor.core import lock
from preceptor.core.errors import Interrupted, PreceptorError, StoreError, boundary
from preceptor.core.files import compact, write_whole
from preceptor.core.records import AdapterRef
from preceptor.tools.sft import base, checkpoints, device, kept, quoting, ranks
from preceptor.tools.sft.events import Writer
from preceptor.tools.sft.job import (
    ADAPTER,
    BUSY_DEVICE,
    BUSY_JOB,
    CANCEL,
    CHECKPOINTS,
    DATA,
    FAILURE,
    MERGED,
    PORTION,
    RESULT,
    Failed,
    Failure,
    Paths,
    Result,
    read_result,
)
from preceptor.tools.sft.launch import one_gpu, usable_threads
from preceptor.tools.sft.model import save, save_whole
from preceptor.tools.sft.place import Place, check_start
from preceptor.tools.sft.room import is_full
from preceptor.tools.sft.training import Portion, Training
from preceptor.tools.sft.watch import logged, memory_mb, validation


def is_memory(error: BaseException) -> bool:
    """Tell whether memory has run out, on either device."""
    import torch

    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in said


def attempt(
    place: Place, say: Writer, callbacks: Sequence[Any] = (), until: float | None = None
) -> Result:
    """Train with ever less at once until it fits into memory; write the weights.

    Raises:
        Failed: If one row at a time does not fit, either.
    """
    portion: Portion | None = read_portion(place)
    while portion is not None:
        training = None
        try:
            training = Training(place, portion, say, callbacks, until)
            return finish(training, training.run())
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            args = training.trainer.args if training is not None else None
        if args is None:
            break  # The model itself does not fit.
        before = portion
        portion = before.smaller(args.per_device_train_batch_size * args.gradient_accumulation_steps)
        if portion is not None:
            say.say("out_of_memory", next_parts=portion.parts, share=portion.share)
            write_whole(place.folder / PORTION, portion.to_json().encode())
            if portion.share != before.share:  # Its steps are others.
                shutil.rmtree(place.folder / CHECKPOINTS, ignore_errors=True)
            if ranks.world() > 1:  # The others wait for this one in the middle of a step.
                raise Failed(
                    f"memory has run out in process {ranks.rank()} of {ranks.world()}",
                    "start it again: less is computed at once",
                    "out_of_memory",
                )
        del training
        gc.collect()
    raise Failed(
        "memory has run out, with one row at a time, too",
        "train a smaller model, a lower rank, or shorter notes",
        "out_of_memory",
    )


def read_portion(place: Place) -> Portion:
    """Return how much an earlier process found to fit; as the job says if there was none."""
    try:
        return Portion.from_json((place.folder / PORTION).read_bytes())
    except (OSError, ValidationError, ValueError):
        return Portion(share=place.job.hyper.share)


def finish(training: Training, found: tuple[list[dict[str, float]], int]) -> Result:
    """Write the weights, and the result as the last thing."""
    place, clock = training.place, training.clock
    history, best = found
    tokens = clock.tokens_before + training.tokens(training.trainer)
    if not ranks.first():
        ranks.wait()
        written = read_result(place.folder, place.job)
        assert written is not None
        return written
    save(training.trainer.model, place.job, place.folder / ADAPTER, str(place.base))
    if place.job.merge and place.job.kind == "lora":
        save_whole(training.trainer.model, place.folder / MERGED, str(place.base))
    files = base.file_hashes(place.folder / ADAPTER)
    adapter = AdapterRef(digest=base.weights_digest(files), kind=place.job.kind)
    own, verdict = place.job, training.verdict(history, best)
    base.write_about(
        place.folder / ADAPTER,
        base.About(adapter=adapter, base=own.base.digest, spec=own.base.spec, job=own.fingerprint),
    )
    result = Result(
        job=own.fingerprint,
        base=own.base.digest,
        adapter=adapter,
        files=files,
        stopped="time" if clock.why == "time" else "patience" if clock.why == "patience" else "done",
        rows=len(training.rows.train),
        validation_rows=len(training.rows.aside),
        tokens=tokens,
        steps=len(logged(history, "loss")),
        best_step=best,
        seconds=round(clock.seconds, 3),
        losses=tuple(logged(history, "loss")),
        decisions=tuple(logged(history, "decision_loss")),
        frames=tuple(logged(history, "frame_loss")),
        validation=tuple(validation(history, "eval_loss")),
        scores=tuple(validation(history, "eval_score")),
        guess=round(verdict.guess, 5),
        reached=round(verdict.reached, 5),
        learned=verdict.learned,
        rate=training.plan.rate,
        epochs=training.plan.epochs,
        tried=training.plan.tried,
        parts=training.portion.parts,
        device=training.learner.device,
        memory_mb=memory_mb(),
    )
    write_whole(place.folder / RESULT, compact(result.model_dump(mode="json")))
    ranks.wait()
    shutil.rmtree(place.folder / CHECKPOINTS, ignore_errors=True)
    return result


def set_up(place: Place) -> None:
    """Fix threads and what the libraries print before anything computes; check the folder."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(usable_threads())
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if base.model_digest(place.base) != place.job.base.digest:
        raise Failed(
            f"the folder {place.base.name!r} is not the model {place.job.base.spec!r} of this job",
            "name the right folder with --base",
            "setup",
        )
    check_start(place)


def run(place: Place, callbacks: Sequence[Any] = (), until: float | None = None) -> Result:
    """Do a job, or the rest of it; a finished one is left as it is.

    Args:
        place: The job.
        callbacks: Further callbacks of transformers.
        until: The moment (``time.monotonic``) at which this process has to stop, whatever the job's
            own limit; the job is the same without it.

    Raises:
        Failed: What went wrong; it stands in ``failure.json``, too.
    """
    known = read_result(place.folder, place.job)
    if known is not None and kept.is_whole(place.folder / ADAPTER, known):
        return known
    say = Writer(place.folder, mute=not ranks.first())
    if ranks.first():
        for name in (FAILURE, CANCEL):  # of an attempt before this one
            (place.folder / name).unlink(missing_ok=True)
    try:
        with boundary(Failed, "training"):
            ranks.join()
            ranks.wait()
            if ranks.first():
                (place.folder / RESULT).unlink(missing_ok=True)  # Its weights are gone or damaged.
            set_up(place)
            return attempt(place, say, callbacks, until)
    except PreceptorError as error:
        kind = error.kind if isinstance(error, Failed) else "data"
        hint = error.hint
        if is_full(error):
            kind, hint = "disk", hint or "make room and start it again"
        message = quoting.without_notes(error.message, place.folder / DATA)
        if ranks.first():  # What is torn is of no use, and takes the room to say why.
            checkpoints.drop_torn(place.folder / CHECKPOINTS)
            shutil.rmtree(place.folder / ADAPTER, ignore_errors=True)
        with suppress(StoreError):
            write_failure(place, Failure(kind=kind, message=message, hint=hint))
            say.say("failed", kind=kind)
        raise


def write_failure(place: Place, failure: Failure) -> None:
    """Write why a job failed; of several processes, the first to fail says why.

    The others fail because of it, a moment later.
    """
    text = compact(failure.model_dump(mode="json"))
    if ranks.world() == 1:
        write_whole(place.folder / FAILURE, text)
        return
    with suppress(FileExistsError), (place.folder / FAILURE).open("xb") as file:
        file.write(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    try:
        return _main(argv)
    except KeyboardInterrupt:
        error = Interrupted(
            "training was interrupted", "start it again: it goes on from its checkpoint"
        )
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _main(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(description="Train the job in a folder; go on if it was begun.")
    parser.add_argument("job", type=Path, help="job.json, or its folder")
    parser.add_argument("--base", default="", help="the base model's folder")
    parser.add_argument("--start", default="", help="the folder of the adapter to go on from")
    parser.add_argument(
        "--seconds", type=float, help="stop after so many, loading included; the job is the same"
    )
    parser.add_argument("--parent", type=int, help="the process that waits for this one")
    asked = parser.parse_args(argv)
    until = time.monotonic() + asked.seconds if asked.seconds is not None else None
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_OFFLINE"] = "1"
    if ranks.world() == 1:
        os.environ.update(one_gpu())
    try:
        given = Paths(
            base=str(Path(asked.base).resolve()) if asked.base else "",
            start=str(Path(asked.start).resolve()) if asked.start else "",
        )
        place = Place.read(asked.job, given)
    except PreceptorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    with ExitStack() as held:
        busy = take_locks(place, held, asked.parent) if ranks.first() else 0
        if busy:
            return busy
        try:
            result = run(place, until=until)
        except PreceptorError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        ranks.leave()
    if ranks.first():
        print(json.dumps({"adapter": result.adapter.digest, "seconds": result.seconds}))
    ranks.end(0)
    return 0


def take_locks(place: Place, held: ExitStack, parent: int | None) -> int:
    """Take the job's lock, then the machine's; return the exit code if one is held, 0 if none is."""
    for folder, busy in ((place.folder, BUSY_JOB), (place.lock, BUSY_DEVICE)):
        if folder is None:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held.enter_context(lock.lock(folder))
        except StoreError as error:
            said = device.busy(folder) if busy == BUSY_DEVICE else error
            print(f"error: {said}", file=sys.stderr)
            if busy == BUSY_DEVICE and ranks.world() > 1:  # A launcher keeps exit codes to itself.
                failure = Failure(kind="setup", message=said.message, hint=said.hint)
                write_whole(place.folder / FAILURE, compact(failure.model_dump(mode="json")))
            return busy
    if place.lock is not None:
        device.note(place.lock, place.folder, parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
