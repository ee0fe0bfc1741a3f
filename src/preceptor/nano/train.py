"""Own the training of nano: ``python -m preceptor.nano.train --minutes M --seed S --out DIR``.

Batches follow from the seed and the step alone, so a resumed run meets the same ones. With
``--tokens`` the schedule does too; with ``--minutes`` the learning rate follows the clock.
"""

# ruff: noqa: TID253  (a training entry point: torch is what it is about)
from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn import functional as F
from transformers import Lfm2ForCausalLM, PreTrainedTokenizerFast

from preceptor.nano import curriculum, encode, model, notes, path, tokenizer
from preceptor.nano.muon import Muon
from preceptor.nano.words import Lexicon

GROUPS = 4
MATRIX_RATE, OTHER_RATE = 0.02, 3e-3
WARM, DECAY = 50, 0.6
MARKS = 0.5
FORM_SPREAD, OWN_SPREAD = 0.02, 0.006
WORD_RATE = 2e-3
SAVE_EVERY, LOG_EVERY = 150.0, 25


@dataclass
class Plan:
    """How long to train, from what, and where to."""

    out: Path
    tokenizer: Path
    minutes: float = 0.0
    tokens: float = 0.0
    seed: int = 0
    device: str = "cpu"
    rank: int = 0
    workers: int = 1
    resume: bool = False
    begin: Path | None = None


@dataclass
class Progress:
    """Where a run stands; all that a resumed run needs besides weights and optimisers."""

    step: int = 0
    tokens: int = 0
    stage: int = 0
    seconds: float = 0.0
    clock: float = 0.0
    hits: deque[bool] = field(default_factory=lambda: deque(maxlen=curriculum.LAST))

    def share(self, plan: Plan) -> float:
        """Return the share of the plan that is done."""
        if plan.tokens:
            return self.tokens / plan.tokens
        return self.clock / (plan.minutes * 60)


class Trainer:
    """The model with its optimisers; an embedding is a shared word form plus its own part."""

    def __init__(self, plan: Plan) -> None:
        """Build everything from the plan's seed."""
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.tokens = tokenizer.load(plan.tokenizer)
        self.lexicon = Lexicon(self.tokens)
        self.net = Lfm2ForCausalLM(model.config(len(self.tokens)))
        self.net.to(torch.device(plan.device))  # type: ignore[arg-type]
        self.forms = word_forms(self.tokens).to(plan.device)
        weight = self.net.model.embed_tokens.weight
        noise = torch.randn_like(weight)
        self.base = torch.nn.Parameter(noise[: int(self.forms.max()) + 1] * FORM_SPREAD)
        self.own = torch.nn.Parameter(torch.randn_like(weight) * OWN_SPREAD)
        weight.requires_grad_(False)
        rest = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        # Says at each hint whether and how the note mentions it; helps matching form, is not kept.
        self.head = torch.nn.Linear(model.HIDDEN, len(encode.KINDS))
        others = [*self.head.parameters(), *(p for _, p in rest if p.ndim != 2)]
        groups = [
            {"params": [self.base, self.own], "full": WORD_RATE},
            {"params": others, "full": OTHER_RATE},
        ]
        self.muon = Muon([p for _, p in rest if p.ndim == 2])
        self.muon.param_groups[0]["full"] = MATRIX_RATE
        self.adam = torch.optim.AdamW(groups, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0)
        self.at = Progress()

    def embedding(self) -> Tensor:
        """Return the embedding matrix."""
        return self.base[self.forms] + self.own

    def batches(self) -> list[list[encode.Encoded]]:
        """Return this worker's share of the step's pages, in groups of similar length."""
        r = Random(f"{self.plan.seed}:{self.at.step}")
        level = curriculum.level(self.at.stage, self.at.step)
        count = curriculum.QUESTIONS[self.at.stage] // level.asked // GROUPS * GROUPS
        pages = [notes.page(r, self.lexicon, level) for _ in range(count)]
        ready = encode.encode(pages, self.tokens, level.marks_only)
        ready.sort(key=lambda p: len(p.prefix) + sum(map(len, p.suffixes)))
        groups = [ready[i : i + count // GROUPS] for i in range(0, count, count // GROUPS)]
        # Long and short groups in turn, so that the workers finish together.
        turns = [(i + i // 2) % 2 % self.plan.workers for i in range(GROUPS)]
        return [g for g, turn in zip(groups, turns, strict=True) if turn == self.plan.rank]

    def learn(self) -> float:
        """Make one step; return its loss."""
        groups = self.batches()
        loss_sum, seen = 0.0, 0
        hits: list[bool] = []
        for group in groups:
            last = self.at.stage + 1 == len(curriculum.STAGES)
            batch = model.collate(group, curriculum.FRAME[self.at.stage], every=last)
            matrix = self.embedding()
            with torch.autocast(self.plan.device, torch.bfloat16):
                found = model.states(self.net, matrix, batch)
                states, marked = found[: len(batch.asked)], found[len(batch.asked) :]
                logits = states @ matrix.T
            loss, right_ones = self._loss(logits.float(), marked.float(), batch)
            hits.extend(right_ones)
            (loss / GROUPS).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item() / GROUPS
            seen += sum(len(p.prefix) + sum(map(len, p.suffixes)) for p in group)
        loss_sum = self._together(loss_sum, seen, hits)
        self._rates()
        torch.nn.utils.clip_grad_norm_([p for g in self.adam.param_groups for p in g["params"]], 1.0)
        for optimiser in (self.muon, self.adam):
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.at.step += 1
        return loss_sum

    def _loss(self, logits: Tensor, marked: Tensor, batch: model.Batch) -> tuple[Tensor, list[bool]]:
        """Return the loss of a group, and which of its labels (or else marks) are right."""
        loss = torch.zeros(())
        said = self.head(marked)
        if len(marked):
            loss = loss + MARKS * F.cross_entropy(said, batch.kinds)
        if not len(logits):
            return loss, (said.argmax(-1) == batch.kinds).tolist()
        each = F.cross_entropy(logits, batch.targets, reduction="none") * batch.weights
        return loss + each.sum() / batch.weights.sum(), right(logits, batch)

    def _together(self, loss: float, seen: int, hits: list[bool]) -> float:
        """Sum gradients and counts over the workers; return the loss of all of them."""
        shares: list[tuple[float, int, list[bool], float]] = [(loss, seen, hits, self.at.seconds)]
        if self.plan.workers > 1:
            params = [p for o in (self.muon, self.adam) for g in o.param_groups for p in g["params"]]
            # A worker whose pages have no marks has no gradient for the head.
            for p in params:
                p.grad = torch.zeros_like(p) if p.grad is None else p.grad
            grads = [p.grad for p in params]
            flat = torch.cat([g.flatten() for g in grads])
            dist.all_reduce(flat)
            at = 0
            for grad in grads:
                grad.copy_(flat[at : at + grad.numel()].view_as(grad))
                at += grad.numel()
            gathered = [shares[0]] * self.plan.workers
            dist.all_gather_object(gathered, shares[0])
            shares = gathered
        for _, tokens, right_ones, _ in shares:
            self.at.tokens += tokens
            self.at.hits.extend(right_ones)
        self.at.clock = shares[0][3]  # one clock for all, or their schedules part
        return sum(share[0] for share in shares)

    def _rates(self) -> None:
        done = min(1.0, self.at.share(self.plan))
        rate = min(1.0, (self.at.step + 1) / WARM)
        rate *= 1.0 if done < 1 - DECAY else max(0.03, (1 - done) / DECAY)
        for optimiser in (self.muon, self.adam):
            for group in optimiser.param_groups:
                group["lr"] = group["full"] * rate

    def save(self) -> None:
        """Write the model for use, and what a resumed run needs."""
        out = self.plan.out
        out.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            self.net.model.embed_tokens.weight.copy_(self.embedding())
        self.net.save_pretrained(out / "model")
        tokenizer.save(self.tokens.backend_tokenizer, out / "model")
        at = vars(self.at) | {"hits": list(self.at.hits)}
        state = {
            "net": self.net.state_dict(), "base": self.base.data, "own": self.own.data,
            "head": self.head.state_dict(),
            "muon": self.muon.state_dict(), "adam": self.adam.state_dict(), "at": at,
        }  # fmt: skip
        torch.save(state, out / "state.tmp")
        (out / "state.tmp").replace(out / "state.pt")

    def begin_with(self, folder: Path) -> None:
        """Take over the weights of a trained model, and go on with the last stage."""
        net = Lfm2ForCausalLM.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
        self.net.load_state_dict(net.state_dict())
        matrix = net.model.embed_tokens.weight.detach()
        count = torch.bincount(self.forms, minlength=len(self.base))[:, None].clamp(min=1)
        self.base.data.zero_().index_add_(0, self.forms, matrix)
        self.base.data /= count
        self.own.data.copy_(matrix - self.base.data[self.forms])
        self.at.stage = len(curriculum.STAGES) - 1

    def load(self, file: Path) -> None:
        """Take up a saved run."""
        state = torch.load(file, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.base.data.copy_(state["base"])
        self.own.data.copy_(state["own"])
        self.head.load_state_dict(state["head"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        at = state["at"]
        self.at = Progress(**{**at, "hits": deque(at["hits"], maxlen=curriculum.LAST)})


def word_forms(tokens: PreTrainedTokenizerFast) -> Tensor:
    """Return, per token, the number of its word form: case and leading space do not count."""
    forms: dict[str, int] = {}
    names = tokens.convert_ids_to_tokens(list(range(len(tokens))))
    folded = []
    for name in names:
        word = name.lstrip("Ġ")
        key = word.lower() if re.fullmatch("[A-Za-z]+", word) else name
        folded.append(forms.setdefault(key, len(forms)))
    return torch.tensor(folded)


def right(logits: Tensor, batch: model.Batch) -> list[bool]:
    """Return, per question, whether every token of its label is the likeliest one."""
    inside = batch.question >= 0
    hit = (logits[inside].argmax(-1) == batch.targets[inside]).tolist()
    found: dict[int, bool] = {}
    for question, ok in zip(batch.question[inside].tolist(), hit, strict=True):
        found[question] = found.get(question, True) and ok
    return list(found.values())


def train(trainer: Trainer) -> None:
    """Train to the end of the plan, writing a metrics line now and then."""
    plan, at = trainer.plan, trainer.at
    plan.out.mkdir(parents=True, exist_ok=True)
    saved = began = time.monotonic()
    before = at.seconds
    with (plan.out / "metrics.jsonl").open("a", encoding="utf-8") as log:
        while at.share(plan) < 1:
            loss = trainer.learn()
            at.seconds = before + time.monotonic() - began
            if at.step % LOG_EVERY == 0 and not plan.rank:
                score = sum(at.hits) / max(1, len(at.hits))
                row = {"step": at.step, "tokens": at.tokens, "seconds": round(at.seconds, 1)}
                row |= {"stage": at.stage, "loss": round(loss, 4), "accuracy": round(score, 4)}
                print(json.dumps(row), file=log, flush=True)
            stage = curriculum.next_stage(at.stage, list(at.hits), at.share(plan))
            if stage != at.stage:
                at.stage = stage
                at.hits.clear()
            if time.monotonic() - saved > SAVE_EVERY and not plan.rank:
                trainer.save()
                saved = time.monotonic()
    if not plan.rank:
        trainer.save()


def keep_memory() -> None:
    """Tell glibc to keep freed memory: giving it back costs half of the time on CPU."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-2, 2**28)  # M_TOP_PAD


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train nano.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--tokenizer", type=Path, default=path(), help="its folder; the shipped one")
    parser.add_argument("--minutes", type=float, default=0.0, help="train this long")
    parser.add_argument("--tokens", type=float, default=0.0, help="train on this many tokens")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2), help="processes")
    parser.add_argument("--begin", type=Path, help="folder of a trained model to go on from")
    parser.add_argument("--resume", action="store_true", help="go on from DIR/state.pt")
    args = parser.parse_args()
    if not args.minutes and not args.tokens:
        parser.error("say --minutes or --tokens")
    plan = Plan(args.out, args.tokenizer, args.minutes, args.tokens, args.seed)
    plan.workers, plan.resume, plan.begin = args.workers, args.resume, args.begin
    if plan.workers == 1:
        work(0, plan)
    else:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29517")
        mp.spawn(work, (plan,), nprocs=plan.workers)  # type: ignore[no-untyped-call, attr-defined]


def work(rank: int, plan: Plan) -> None:
    """Train as one of the plan's workers, each with one thread.

    Threads of one worker wait for each other at every operation, which is slow on shared cores.
    """
    torch.set_num_threads(1)
    keep_memory()
    plan.rank = rank
    if plan.workers > 1:
        dist.init_process_group("gloo", rank=rank, world_size=plan.workers)
    trainer = Trainer(plan)
    if plan.resume and (plan.out / "state.pt").exists():
        trainer.load(plan.out / "state.pt")
    elif plan.begin is not None:
        trainer.begin_with(plan.begin)
    train(trainer)


if __name__ == "__main__":
    main()
