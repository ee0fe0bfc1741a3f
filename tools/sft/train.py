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
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from preceptor.core import lock
from preceptor.core.errors import InputError, PreceptorError, StoreError, boundary
from preceptor.core.files import compact, write_whole
from preceptor.core.record import digest
from preceptor.core.records import AdapterRef
from preceptor.tools.sft import base, checkpoints, data, quoting
from preceptor.tools.sft.bundles import TokenRow, lay_out
from preceptor.tools.sft.events import Writer
from preceptor.tools.sft.job import (
    ADAPTER,
    BUSY_DEVICE,
    BUSY_JOB,
    CHECKPOINTS,
    DATA,
    FAILURE,
    JOB,
    MERGED,
    PATHS,
    RESULT,
    Failed,
    Failure,
    Job,
    Paths,
    Result,
    rate_for,
    read_result,
)
from preceptor.tools.sft.model import Learner, check_room, load, save, save_whole
from preceptor.tools.sft.tokens import Template
from preceptor.tools.sft.trainer import (
    Collator,
    as_row,
    can_bundle,
    layer_kinds,
    make_trainer,
    overlap_of,
)
from preceptor.tools.sft.watch import (
    Clock,
    Watch,
    as_callback,
    losses,
    memory_mb,
    out_of_patience,
    validation,
)


@dataclass(frozen=True)
class Place:
    """A job where it lies.

    Attributes:
        folder: Its folder.
        job: The job.
        base: The base model's folder.
        start: The folder of the weights to go on from, None if there are none.
        lock: The folder whose lock keeps trainings apart, None for no lock.
    """

    folder: Path
    job: Job
    base: Path
    start: Path | None
    lock: Path | None

    @staticmethod
    def read(file: Path, given: Paths | None = None) -> Place:
        """Read a job's folder.

        Args:
            file: ``job.json``, or its folder.
            given: Replaces what ``paths.json`` says, where it is not empty.

        Raises:
            InputError: If it is no job.
        """
        folder = (file if file.is_dir() else file.parent).resolve()
        try:
            job = Job.from_json((folder / JOB).read_bytes())
            said = (folder / PATHS).is_file()
            paths = Paths.from_json((folder / PATHS).read_bytes()) if said else Paths(base="")
        except (OSError, ValidationError, ValueError) as cause:
            raise InputError(f"no training job in {str(folder)!r}", "export it again") from cause
        if given is not None:
            update = {name: value for name, value in given.model_dump().items() if value}
            paths = paths.model_copy(update=update)
        if not paths.base:
            raise InputError("the base model's folder is not known", "give it with --base")

        def at(path: str) -> Path | None:
            return folder / Path(path).expanduser() if path else None

        return Place(
            folder, job, folder / Path(paths.base).expanduser(), at(paths.start), at(paths.lock)
        )


@dataclass(frozen=True)
class Encoded:
    """The rows of a job as token ids: those that are learned, and those that tell when to stop."""

    train: list[TokenRow]
    aside: list[TokenRow]


def read_rows(place: Place) -> tuple[list[data.Row], list[data.Row]]:
    """Return the job's rows, in both parts.

    Raises:
        Failed: If the file is not the one that the job names.
    """
    raw = (place.folder / DATA).read_bytes()
    if digest(raw) != place.job.data:
        raise Failed("data.jsonl is not the job's data", "export the job again", "data")
    found = list(data.load(raw))
    data.check(found)
    return data.split(found, place.job.hyper.validation, place.job.seed)


def encode(rows: Sequence[data.Row], learner: Learner, window: int | None) -> list[TokenRow]:
    """Return rows as token ids, as often as they are shown.

    Raises:
        Failed: If some are longer than the window: TRL would cut or drop them without a word.
    """
    template = Template(learner.tokenizer, learner.ends)
    limit = min((n for n in (window, learner.context) if n is not None), default=None)
    made: list[TokenRow] = []
    too_long = []
    for row in rows:
        prompt, answer = template.row(row.prompt, row.answer)
        token_row = TokenRow(row.id, tuple(prompt), tuple(answer))
        if limit is not None and token_row.size > limit:
            too_long.append(token_row.size)
        made += [token_row] * row.times
    if too_long:
        raise Failed(
            f"{len(too_long)} of {len(rows)} training rows are longer than the window of {limit} "
            f"tokens, the longest {max(too_long)}",
            "shorten the prompt or the hits, leave those notes out, or train another base model",
            "too_long",
        )
    return made


class Training:
    """One attempt at a job: with so many rows computed at once.

    Args:
        place: The job.
        parts: In how many parts each batch is computed.
        say: Where events go.
        callbacks: Further callbacks of transformers.
    """

    def __init__(self, place: Place, parts: int, say: Writer, callbacks: Sequence[Any]) -> None:
        from transformers import set_seed

        self.place, self.parts, self.say = place, parts, say
        self.clock = Clock()
        job = place.job
        set_seed(job.seed)
        self.learner = load(job, place.base, place.start)
        self.rate = job.hyper.rate or rate_for(job.hyper.method, self.learner.parameters)
        kept, aside = read_rows(place)
        window = job.limits.window
        self.rows = Encoded(encode(kept, self.learner, window), encode(aside, self.learner, window))
        self.trainer = self._trainer(callbacks)

    def run(self) -> tuple[list[float], list[tuple[int, float]], int]:
        """Train, and leave the best weights in the model.

        Returns:
            The loss of each step, (step, loss) on the patients aside, and the step that was kept.
        """
        found = checkpoints.last(self.place.folder / CHECKPOINTS)
        state = self.trainer.state
        if found is not None:
            at, marker = found
            self.clock.before, self.clock.tokens_before = marker.seconds, marker.tokens
            state = type(state).load_from_json(str(at / "trainer_state.json"))
            self.say.say("resumed", step=state.global_step)
        if found is None or not self._over(state):
            self.trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
            state = self.trainer.state
        elif out_of_patience(validation(state.log_history), self.place.job.hyper.patience):
            self.clock.why = "patience"
        if self.clock.why == "cancelled":
            raise Failed("training was cancelled", "start it again: it goes on", "cancelled")
        if self.clock.why == "time" and (state.epoch or 0) < 1:
            raise Failed(
                f"{self.place.job.limits.seconds:g} s were not enough for one epoch",
                "give it more time, fewer fields, or a lower share of defaults",
                "time",
            )
        return losses(state.log_history), validation(state.log_history), self._keep_best(state)

    def _over(self, state: Any) -> bool:
        patient = out_of_patience(validation(state.log_history), self.place.job.hyper.patience)
        return state.global_step >= state.max_steps or patient

    def _keep_best(self, state: Any) -> int:
        """Load the weights of the step that did best on the patients aside, the last if none are."""
        found = validation(state.log_history)
        best = min(found, key=lambda v: v[1])[0] if found else int(state.global_step)
        at = self.place.folder / CHECKPOINTS / f"checkpoint-{best}"
        if best != self.trainer.state.global_step:
            if checkpoints.read(at) is None:
                raise Failed(
                    f"the checkpoint of step {best} is damaged", "remove the job's folder", "crash"
                )
            self.trainer._load_from_checkpoint(str(at))
        return best

    def _trainer(self, callbacks: Sequence[Any]) -> Any:
        from datasets import Dataset  # type: ignore[import-untyped]
        from transformers.trainer_callback import PrinterCallback

        learner, job = self.learner, self.place.job
        collator = Collator(int(learner.tokenizer.pad_token_id or 0))
        overlap = overlap_of(learner.model) if job.hyper.share else None
        if overlap is not None:
            shared = Collator(collator.pad, layer_kinds(learner.model))
            if can_bundle(learner.model, self.rows.train, shared, overlap):
                collator = shared
            else:
                overlap = None
        train = lay_out(self.rows.train, overlap)
        aside = lay_out(self.rows.aside, overlap)
        self.say.say(
            "start",
            rows=len(self.rows.train),
            bundles=len(train),
            tokens=sum(b.row_tokens for b in train),
            computed_tokens=sum(len(b.ids) for b in train),
            parts=self.parts,
            device=learner.device,
            bf16=learner.bf16,
        )
        trainer = make_trainer(
            learner.bf16,
            model=learner.model,
            args=self._config(len(self.rows.train) / len(train), bool(aside)),
            data_collator=collator,
            train_dataset=Dataset.from_list([as_row(b) for b in train]),
            eval_dataset=Dataset.from_list([as_row(b) for b in aside]) if aside else None,
            processing_class=learner.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        watch = Watch(job, self.place.folder, self.clock, self.say, lambda: trainer.row_tokens)
        trainer.add_callback(as_callback(watch))
        for callback in callbacks:
            trainer.add_callback(callback)
        return trainer

    def _config(self, rows_per_bundle: float, aside: bool) -> Any:
        from trl.trainer.sft_config import SFTConfig

        job, learner = self.place.job, self.learner
        gpu = learner.device == "cuda"
        batch = batch_of(job.hyper.batch, rows_per_bundle)
        return SFTConfig(
            output_dir=str(self.place.folder / CHECKPOINTS),
            num_train_epochs=job.hyper.epochs,
            per_device_train_batch_size=batch // self.parts,
            per_device_eval_batch_size=batch // self.parts,
            gradient_accumulation_steps=self.parts,
            learning_rate=self.rate,
            lr_scheduler_type="cosine",
            warmup_steps=job.hyper.warmup,
            weight_decay=0.0,
            seed=job.seed,
            data_seed=job.seed,
            use_cpu=not gpu,
            bf16=gpu and learner.bf16,
            activation_checkpointing=gpu and learner.parameters > 500_000_000,
            # Rows were counted against the window before: nothing is left to cut or to drop.
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            completion_only_loss=True,
            packing=False,
            remove_unused_columns=False,
            dataloader_num_workers=0,
            dataloader_pin_memory=gpu,
            logging_steps=1,
            logging_nan_inf_filter=False,
            eval_strategy="epoch" if aside else "no",
            save_strategy="epoch",
            save_total_limit=2,
            prediction_loss_only=True,
            metric_for_best_model="eval_loss" if aside else None,
            greater_is_better=False if aside else None,
            report_to="none",
            disable_tqdm=True,
        )


def batch_of(rows: int, rows_per_bundle: float) -> int:
    """Return how many bundles make about ``rows`` rows."""
    return max(1, round(rows / rows_per_bundle))


def smaller(parts: int, batch: int) -> int | None:
    """Return into how many more parts a batch can be cut, None if it is a row already."""
    return next((n for n in range(2 * parts, batch + 1) if batch % n == 0), None)


def is_memory(error: BaseException) -> bool:
    """Tell whether memory has run out, on either device."""
    import torch

    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in said


def attempt(place: Place, say: Writer, callbacks: Sequence[Any] = ()) -> Result:
    """Train with ever smaller parts of a batch until it fits into memory; write the weights.

    Raises:
        Failed: If one row at a time does not fit, either.
    """
    parts: int | None = 1
    while parts is not None:
        training = None
        try:
            training = Training(place, parts, say, callbacks)
            return finish(training, training.run())
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            batch = place.job.hyper.batch
            if training is not None:
                args = training.trainer.args
                batch = args.per_device_train_batch_size * args.gradient_accumulation_steps
            parts = smaller(parts, batch)
            say.say("out_of_memory", next_parts=parts)
        del training
        gc.collect()
    raise Failed(
        "memory has run out, with one row at a time, too",
        "train a smaller model, a lower rank, or shorter notes",
        "out_of_memory",
    )


def finish(training: Training, found: tuple[list[float], list[tuple[int, float]], int]) -> Result:
    """Write the weights, and the result as the last thing."""
    place, clock = training.place, training.clock
    history, aside, best = found
    save(training.trainer.model, place.job, place.folder / ADAPTER, str(place.base))
    if place.job.merge and place.job.kind == "lora":
        save_whole(training.trainer.model, place.folder / MERGED, str(place.base))
    files = base.file_hashes(place.folder / ADAPTER)
    adapter = AdapterRef(digest=base.weights_digest(files), kind=place.job.kind)
    own = place.job
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
        tokens=clock.tokens_before + training.trainer.row_tokens,
        steps=len(history),
        best_step=best,
        seconds=round(clock.seconds, 3),
        losses=tuple(history),
        validation=tuple(aside),
        rate=training.rate,
        parts=training.parts,
        device=training.learner.device,
        memory_mb=memory_mb(),
    )
    write_whole(place.folder / RESULT, compact(result.model_dump(mode="json")))
    shutil.rmtree(place.folder / CHECKPOINTS, ignore_errors=True)
    return result


def set_up(place: Place) -> None:
    """Fix threads and what the libraries print before anything computes; check the folder."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(place.job.limits.threads)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if base.model_digest(place.base) != place.job.base.digest:
        raise Failed(
            f"the folder {place.base.name!r} is not the model {place.job.base.spec!r} of this job",
            "name the right folder with --base",
            "setup",
        )
    if place.start is not None and base.read_about(place.start).base != place.job.base.digest:
        raise Failed("the adapter to go on from belongs to another base model", "", "setup")
    if place.job.kind == "merged" or place.job.merge:
        check_room(place.folder, place.base)


def run(place: Place, callbacks: Sequence[Any] = ()) -> Result:
    """Do a job, or the rest of it; a finished one is left as it is.

    Args:
        place: The job.
        callbacks: Further callbacks of transformers.

    Raises:
        Failed: What went wrong; it stands in ``failure.json``, too.
    """
    known = read_result(place.folder, place.job)
    if known is not None:
        return known
    (place.folder / FAILURE).unlink(missing_ok=True)
    say = Writer(place.folder)
    try:
        with boundary(Failed, "training"):
            set_up(place)
            return attempt(place, say, callbacks)
    except PreceptorError as error:
        kind = error.kind if isinstance(error, Failed) else "data"
        message = quoting.without_notes(error.message, place.folder / DATA)
        failure = Failure(kind=kind, message=message, hint=error.hint)
        write_whole(place.folder / FAILURE, compact(failure.model_dump(mode="json")))
        say.say("failed", kind=kind)
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Train the job in a folder; go on if it was begun.")
    parser.add_argument("job", type=Path, help="job.json, or its folder")
    parser.add_argument("--base", default="", help="the base model's folder")
    parser.add_argument("--start", default="", help="the folder of the adapter to go on from")
    asked = parser.parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ["HF_HUB_OFFLINE"] = "1"
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
        for folder, busy in ((place.folder, BUSY_JOB), (place.lock, BUSY_DEVICE)):
            if folder is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(lock.lock(folder))
            except StoreError as error:
                print(f"error: {error}", file=sys.stderr)
                return busy
        try:
            result = run(place)
        except PreceptorError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(json.dumps({"adapter": result.adapter.digest, "seconds": result.seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
