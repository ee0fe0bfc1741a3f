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

from preceptor.core import machine
from preceptor.core.record import Record, digest
from preceptor.tools.sft import checkpoints, data, memory, probing, ranks
from preceptor.tools.sft.bundles import FORCED, TokenRow, lay_out
from preceptor.tools.sft.events import Writer
from preceptor.tools.sft.guessing import Guesser, Verdict, judged
from preceptor.tools.sft.job import CHECKPOINTS, DATA, Failed, rate_for
from preceptor.tools.sft.model import Learner, load
from preceptor.tools.sft.packing import Packed, packs
from preceptor.tools.sft.place import Place
from preceptor.tools.sft.room import KEPT, Room
from preceptor.tools.sft.tokens import Template
from preceptor.tools.sft.trainer import (
    Aim,
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
    logged,
    out_of_patience,
    validation,
)


@dataclass(frozen=True)
class Encoded:
    """The rows of a job as token ids.

    Attributes:
        train: Those that are learned.
        aside: Those that tell when to stop.
        worth: What each question of the latter is worth.
    """

    train: list[TokenRow]
    aside: list[TokenRow]
    worth: tuple[float, ...]


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
    first = 0
    for row in rows:
        prompt, answer, fields = template.chosen(row.prompt, row.answer, row.choices)
        decides = tuple(first + field if field != FORCED else FORCED for field in fields)
        token_row = TokenRow(row.id, tuple(prompt), tuple(answer), decides, row.fields, first)
        first += len(row.fields)
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
        self._check_memory()
        together = portion.share and len({row.id for row in kept}) < len(kept)
        self.learner = load(job, place.base, place.start, pack=not together)
        self.room = Room.of(job, place.folder, place.base, self.learner.model)
        self.room.check(checkpoints.held(place.folder / CHECKPOINTS))
        window = job.limits.window
        self.rows = Encoded(
            encode(kept, self.learner, window),
            encode(aside, self.learner, window),
            tuple(worth for row in aside for worth in row.worth or (1.0,) * len(row.fields)),
        )
        self.trainer = self._trainer(callbacks)

    def _check_memory(self) -> None:
        import torch

        gpu = torch.cuda.is_available()
        known = torch.cuda.mem_get_info()[::-1] if gpu else machine.memory()
        memory.check(self.place.job, self.place.base, known[1] if known else None, gpu=gpu)

    def run(self) -> tuple[list[dict[str, float]], int]:
        """Train, and leave the best weights in the model.

        Returns:
            What was logged, and the step that was kept.
        """
        found = self._go_on_from()
        self.clock.before = self.plan.seconds
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
        return state.log_history, self._keep_best(state)

    def verdict(self, history: list[dict[str, float]], best: int) -> Verdict:
        """Return whether anything was learned: of the patients aside, or else over the last epoch."""
        guesser, aside = Guesser(self.rows.train), self.rows.aside
        if aside:
            at = {
                name: dict(validation(history, name)).get(best) for name in ("eval_loss", "eval_score")
            }
            loss, score = at["eval_loss"], at["eval_score"]
            if loss is not None and score is not None:
                guessed = Aim(worth=self.rows.worth).score(guesser.wrong(aside))
                return judged(guesser.loss(aside), loss, guessed, score)
        seen = logged(history, "decision_loss")
        last = seen[-max(1, len(seen) // max(1, round(history[-1].get("epoch", 1)))) :]
        return judged(guesser.loss(self.rows.train), sum(last) / len(last))

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
        rows = Dataset.from_list([as_row(b) for b in train])
        answers = sum(max(1, len(row.fields)) for row in self.rows.train)
        batch = batch_of(job.hyper.batch, answers / len(train))
        computed = sum(len(b.ids) for b in train)
        self.parts = self.portion.parts
        if self.parts == 1 and learner.device == "cpu" and ranks.world() == 1:
            self.parts = parts_of(batch, computed / len(train))
        self.say.say(
            "start",
            rows=len(self.rows.train),
            bundles=len(train),
            tokens=sum(b.row_tokens for b in train),
            computed_tokens=computed,
            parts=self.parts,
            device=learner.device,
            bf16=learner.bf16,
            packed=isinstance(collator, Packed),
        )
        self.plan = self._planned(rows, collator, batch)
        trainer = make_trainer(
            learner.bf16,
            self.room,
            Aim(job.hyper.frame, self.rows.worth),
            model=learner.model,
            args=self._config(batch, bool(aside)),
            data_collator=collator,
            train_dataset=rows,
            eval_dataset=Dataset.from_list([as_row(b) for b in aside]) if aside else None,
            processing_class=learner.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        watch = Watch(job, self.place.folder, self.clock, self.say, lambda: self.tokens(trainer))
        trainer.add_callback(as_callback(watch))
        for callback in callbacks:
            trainer.add_callback(callback)
        return trainer

    def _planned(self, rows: Any, collator: Any, batch: int) -> probing.Plan:
        """Return rate and epochs: as an earlier process of this job found them, if one did."""
        hyper, learner, folder = self.place.job.hyper, self.learner, self.place.folder
        usual = hyper.rate or rate_for(hyper.method, learner.parameters)
        known = probing.read(folder)
        if known is not None:
            return known
        if not hyper.probe or hyper.rate is not None or ranks.world() > 1:
            return probing.Plan(rate=usual, epochs=hyper.epochs)
        probe = probing.Probe(
            learner.model, rows, collator, batch, hyper.frame, learner.bf16, self.place.job.seed
        )
        plan = probing.write(folder, probe.plan(usual, hyper.epochs, self.place.job.limits.seconds))
        self.say.say("plan", rate=plan.rate, epochs=plan.epochs, tried=[[*t] for t in plan.tried])
        return plan

    def _config(self, batch: int, aside: bool) -> Any:
        from trl.trainer.sft_config import SFTConfig

        job, learner = self.place.job, self.learner
        gpu = learner.device == "cuda"
        return SFTConfig(
            output_dir=str(self.place.folder / CHECKPOINTS),
            num_train_epochs=self.plan.epochs,
            per_device_train_batch_size=batch // self.parts,
            per_device_eval_batch_size=batch // self.parts,
            gradient_accumulation_steps=self.parts,
            learning_rate=self.plan.rate,
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
            metric_for_best_model="eval_miss" if aside else None,
            greater_is_better=False if aside else None,
            report_to="none",
            disable_tqdm=True,
        )


ANSWERS, FEWEST, MOST = 48, 4, 16
"""Answers per step where none are named, of so many notes at least and at most. The answers of a note
err together: steps of a note alone wander about until the rate comes down (the arms of
``benchmarks/training_recipe.py`` show it)."""


def batch_of(answers: int | None, per_bundle: float) -> int:
    """Return how many bundles a step has: about ``answers`` answers to one field, or the usual."""
    if answers is None:
        return min(MOST, max(FEWEST, round(ANSWERS / per_bundle)))
    return max(1, round(answers / per_bundle))


ENOUGH = 1024
"""Tokens that keep a CPU busy: more of them at once only need more memory, and more padding."""


def parts_of(batch: int, tokens: float) -> int:
    """Return in how many parts a CPU computes a batch of bundles of so many tokens each."""
    fits = (n for n in range(1, batch) if batch % n == 0 and batch / n * tokens <= ENOUGH)
    return next(fits, batch)
