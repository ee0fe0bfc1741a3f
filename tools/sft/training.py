"""One attempt at a job: rows become tokens, tokens become bundles, and TRL trains on them.

Owns the trainer's settings, what a checkpoint is gone on from, and which step's weights are kept.
Leaves memory that runs out and the writing of results to ``train``. A training entry point: it imports
torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.core.record import Record, digest
from preceptor.tools.sft import checkpoints, data, ranks
from preceptor.tools.sft.bundles import TokenRow, lay_out
from preceptor.tools.sft.events import Writer
from preceptor.tools.sft.job import CHECKPOINTS, DATA, Failed, rate_for
from preceptor.tools.sft.model import Learner, load
from preceptor.tools.sft.packing import Packed, packs
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.room import KEPT, Room
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
    best_of,
    losses,
    out_of_patience,
    validation,
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


class Portion(Record):
    """How much is computed at once; kept in the job's folder, so that a resumed job starts with it.

    Attributes:
        parts: In how many parts each batch is computed.
        share: Whether a note's rows are read as one.
    """

    parts: int = 1
    share: bool

    def smaller(self, batch: int) -> Portion | None:
        """Return the next smaller one, None if a row at a time is computed already.

        Args:
            batch: Bundles, or rows, per step.
        """
        parts = next((n for n in range(2 * self.parts, batch + 1) if batch % n == 0), None)
        if parts is not None:
            return Portion(parts=parts, share=self.share)
        return Portion(share=False) if self.share else None


class Training:
    """One attempt at a job: with so much computed at once.

    Args:
        place: The job.
        portion: How much.
        say: Where events go.
        callbacks: Further callbacks of transformers.
        until: The moment (``time.monotonic``) at which this process has to stop.
    """

    def __init__(
        self,
        place: Place,
        portion: Portion,
        say: Writer,
        callbacks: Sequence[Any],
        until: float | None = None,
    ) -> None:
        from transformers import set_seed

        self.place, self.portion, self.say = place, portion, say
        self.clock = Clock(until=until)
        job = place.job
        set_seed(job.seed)
        kept, aside = read_rows(place)
        together = portion.share and len({row.id for row in kept}) < len(kept)
        self.learner = load(job, place.base, place.start, pack=not together)
        self.room = Room.of(job, place.folder, place.base, self.learner.model)
        self.room.check(checkpoints.held(place.folder / CHECKPOINTS))
        self.rate = job.hyper.rate or rate_for(job.hyper.method, self.learner.parameters)
        window = job.limits.window
        self.rows = Encoded(encode(kept, self.learner, window), encode(aside, self.learner, window))
        self.trainer = self._trainer(callbacks)

    def run(self) -> tuple[list[float], list[tuple[int, float]], int]:
        """Train, and leave the best weights in the model.

        Returns:
            The loss of each step, (step, loss) on the patients aside, and the step that was kept.
        """
        found = self._go_on_from()
        state = self.trainer.state
        if found is not None:
            at, marker = found
            self.clock.before, self.clock.tokens_before = marker.seconds, marker.tokens
            state = type(state).load_from_json(str(at / "trainer_state.json"))
            self.say.say("resumed", step=state.global_step)
        if found is not None and self._over(state):
            if out_of_patience(validation(state.log_history), self.place.job.hyper.patience):
                self.clock.why = "patience"
        elif self.clock.is_up or self.clock.before > self.place.job.limits.seconds:
            self.clock.why = "time"
        else:
            self.trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
            state = self.trainer.state
        if self.clock.why == "cancelled":
            raise Failed("training was cancelled", "start it again: it goes on", "cancelled")
        if self.clock.why == "time" and (state.epoch or 0) < 1:
            raise self._too_slow()
        return losses(state.log_history), validation(state.log_history), self._keep_best(state)

    def _go_on_from(self) -> tuple[Path, checkpoints.Marker] | None:
        """Return the checkpoint to go on from, and remove those that cannot be."""
        root = self.place.folder / CHECKPOINTS
        found = checkpoints.last(root, self.place.job.fingerprint)
        ranks.wait()  # All have looked.
        dropped = checkpoints.drop_after(root, found[0] if found else None) if ranks.first() else []
        if dropped:
            self.say.say("passed_over", checkpoints=[*dropped])
        return found

    def _too_slow(self) -> Failed:
        if self.clock.is_up and self.clock.seconds <= self.place.job.limits.seconds:
            return Failed(
                "the seconds left for this training were not enough for one epoch",
                "give it more: it goes on from its checkpoint",
                "time",
            )
        return Failed(
            f"{self.place.job.limits.seconds:g} s were not enough for one epoch",
            "give it more time, fewer fields, or a lower share of defaults",
            "time",
        )

    @staticmethod
    def tokens(trainer: Any) -> int:
        """Return how many tokens were read since this attempt began, by all processes."""
        return ranks.total(trainer.row_tokens)

    def _over(self, state: Any) -> bool:
        patient = out_of_patience(validation(state.log_history), self.place.job.hyper.patience)
        return state.global_step >= state.max_steps or patient

    def _keep_best(self, state: Any) -> int:
        """Load the weights of the step that did best on the patients aside, the last if none are."""
        found = best_of(validation(state.log_history))
        best = found if found is not None else int(state.global_step)
        at = checkpoints.at(self.place.folder / CHECKPOINTS, best)
        if best != self.trainer.state.global_step:
            if checkpoints.read(at) is None:
                raise Failed(
                    f"the checkpoint of the best step, {str(at)!r}, is damaged",
                    "start it again: it goes on from an earlier one, or from the beginning",
                    "crash",
                )
            self.trainer._load_from_checkpoint(str(at))
        return best

    def _trainer(self, callbacks: Sequence[Any]) -> Any:
        from datasets import Dataset  # type: ignore[import-untyped]
        from transformers.trainer_callback import PrinterCallback

        learner, job = self.learner, self.place.job
        padded = Collator(int(learner.tokenizer.pad_token_id or 0))
        collator: Collator | Packed = padded
        overlap = overlap_of(learner.model) if self.portion.share else None
        if overlap is not None:
            shared = Collator(padded.pad, layer_kinds(learner.model))
            if ranks.agreed(can_bundle(learner.model, self.rows.train, shared, overlap)):
                collator = shared
            else:
                overlap = None
        if learner.packs and ranks.agreed(packs(learner.model, self.rows.train, padded)):
            collator = Packed()
        train = lay_out(self.rows.train, overlap)
        aside = lay_out(self.rows.aside, overlap)
        self.say.say(
            "start",
            rows=len(self.rows.train),
            bundles=len(train),
            tokens=sum(b.row_tokens for b in train),
            computed_tokens=sum(len(b.ids) for b in train),
            parts=self.portion.parts,
            device=learner.device,
            bf16=learner.bf16,
            packed=isinstance(collator, Packed),
        )
        trainer = make_trainer(
            learner.bf16,
            self.room,
            model=learner.model,
            args=self._config(len(self.rows.train) / len(train), bool(aside)),
            data_collator=collator,
            train_dataset=Dataset.from_list([as_row(b) for b in train]),
            eval_dataset=Dataset.from_list([as_row(b) for b in aside]) if aside else None,
            processing_class=learner.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        watch = Watch(job, self.place.folder, self.clock, self.say, lambda: self.tokens(trainer))
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
            per_device_train_batch_size=batch // self.portion.parts,
            per_device_eval_batch_size=batch // self.portion.parts,
            gradient_accumulation_steps=self.portion.parts,
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
            save_total_limit=KEPT,
            prediction_loss_only=True,
            metric_for_best_model="eval_loss" if aside else None,
            greater_is_better=False if aside else None,
            report_to="none",
            disable_tqdm=True,
        )


def batch_of(rows: int, rows_per_bundle: float) -> int:
    """Return how many bundles make about ``rows`` rows."""
    return max(1, round(rows / rows_per_bundle))
