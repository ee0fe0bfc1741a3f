"""``hf:PATH``, ``hf:NAME`` and ``nano``: a transformers model in process, on a CPU or a GPU.

Owns which calls are read together: calls about one note share the tokens that they have in common,
which are read once, and notes of similar length make a batch. Loading is ``weights``, tokens are
``chat``, the constraint is ``grammar``, the passes are ``prefix`` and the answers ``decode``.
Answers do not depend on what else is in a batch, nor on jump-ahead or reuse (tests hold it).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preceptor.agents.students import StudentOptions, attention, decode, last, prefix, weights
from preceptor.agents.students.chat import Chat
from preceptor.agents.students.grammar import Free, Grammar
from preceptor.core import machine
from preceptor.core import model_folder as content
from preceptor.core.ports import Cancel
from preceptor.core.records import AdapterRef, Call, ModelRef, Reply

WORTH_SHARING = 0.5
"""Calls about one note are read together if they share this part of the longest prompt."""


@dataclass(frozen=True)
class Shared:
    """Calls that go on from one prefix, with their whole prompts as token ids."""

    prefix: list[int]
    calls: list[tuple[Call, list[int]]]


class HFStudent:
    """Answers with a model in process.

    Args:
        path: The model's folder.
        named: What the recipe calls it, and what it computes in; ``hf:PATH`` in fp32 if None.
        adapter: Trained weights whose folder is ``options.adapter``.
        options: Threads, device, batch size.
        reuse: Whether what calls about one note share is read once.
        jump_ahead: Whether forced tokens are read at once.

    Raises:
        StudentError: If the model is missing or cannot be loaded.
    """

    def __init__(
        self,
        path: str,
        named: ModelRef | None = None,
        *,
        adapter: AdapterRef | None = None,
        options: StudentOptions | None = None,
        reuse: bool = True,
        jump_ahead: bool = True,
    ) -> None:
        self._options = options or StudentOptions()
        folder = weights.folder_of(path)
        named = named or ModelRef(spec=f"hf:{path}")
        known = content.known_digest(folder)
        self.ref = ModelRef(spec=named.spec, digest=known, precision=named.precision)
        self._set_threads()
        self._loaded = weights.load(
            folder, adapter, self._options.adapter, self._options.device, named.precision
        )
        attention.install(self._loaded.model)
        last.only(self._loaded.model)
        self._chat = Chat(self._loaded.tokenizer)
        self._grammar = Grammar(
            self._loaded.tokenizer,
            self._loaded.vocabulary,
            self._loaded.ends,
        )
        self._reuse = reuse
        self._jump_ahead = jump_ahead
        self.context = self._loaded.context

    def complete(self, calls: Sequence[Call], cancel: Cancel | None = None) -> Iterator[Reply]:
        """Answer the calls, batch by batch, shortest notes first."""
        self._set_threads()
        ids = self._chat.ids([c.messages for c in calls])
        fitting = []
        for call, tokens in zip(calls, ids, strict=True):
            if self.context is not None and len(tokens) >= self.context:
                why = "the prompt is longer than the model's context"
                yield Reply(call.key, "", "truncated", len(tokens), 0, error=why)
            else:
                fitting.append((call, tokens))
        for batch in batches(shared(fitting, self._reuse), self._options.batch_tokens):
            if cancel is not None and cancel():
                return
            for reply in self._answer(batch):
                yield reply
                if cancel is not None and cancel():
                    return

    def close(self) -> None:
        """Let the model go with the student; nothing else is held."""

    def _answer(self, batch: Sequence[Shared]) -> list[Reply]:
        import torch

        began = time.monotonic()
        rows = [self._row(call, ids, i, s) for i, s in enumerate(batch) for call, ids in s.calls]
        with torch.inference_mode():
            read = prefix.read(
                self._loaded.model, [s.prefix for s in batch], self._loaded.pad, self._reuse
            )
            decode.run(read, rows, self._loaded.ends, self._jump_ahead)
        texts = self._loaded.tokenizer.batch_decode(
            [row.answer for row in rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        share = (time.monotonic() - began) / len(rows)
        return [
            _reply(row, text, len(batch[row.prefix].prefix) + len(row.rest), share)
            for row, text in zip(rows, texts, strict=True)
        ]

    def _row(self, call: Call, ids: list[int], number: int, of: Shared) -> decode.Row:
        limit = call.decoding.max_tokens
        if self.context is not None:
            limit = min(limit, self.context - len(ids))
        state = self._grammar.start(call.fields, call.source) if call.decoding.constrained else Free()
        return decode.Row(call, number, ids[len(of.prefix) :], state, limit)

    def _set_threads(self) -> None:
        import torch

        torch.set_num_threads(self._options.threads or machine.cores())


def _reply(row: decode.Row, text: str, read: int, seconds: float) -> Reply:
    if not row.finite:
        why = "the model computes no numbers: its weights are damaged, or too coarse for this prompt"
        return Reply(row.call.key, "", "failed", read, len(row.answer), seconds, error=why)
    return Reply(
        row.call.key,
        text,
        "ok" if row.complete else "truncated",
        read,
        len(row.answer),
        seconds,
        probability=round(math.exp(row.logprob), 4) if row.call.decoding.constrained else None,
    )


def shared(calls: Sequence[tuple[Call, list[int]]], reuse: bool) -> list[Shared]:
    """Return the calls by what they share: per note where that is worth it, else each for itself."""
    by_note: dict[str, list[tuple[Call, list[int]]]] = {}
    for call, ids in calls:
        by_note.setdefault(call.example_id, []).append((call, ids))
    found = []
    for group in by_note.values():
        size = prefix.common([ids for _, ids in group])
        if reuse and len(group) > 1 and size >= WORTH_SHARING * max(len(ids) for _, ids in group):
            found.append(Shared(group[0][1][:size], group))
        else:
            found += [Shared(ids[:-1], [(call, ids)]) for call, ids in group]
    return found


def batches(found: Sequence[Shared], most: int) -> Iterator[list[Shared]]:
    """Yield batches of at most ``most`` tokens, paddings and all, in an order fixed by content."""
    batch: list[Shared] = []
    rest = 0
    for one in sorted(found, key=lambda s: (len(s.prefix), s.calls[0][0].key)):
        own = sum(len(ids) - len(one.prefix) for _, ids in one.calls)
        if batch and len(one.prefix) * (len(batch) + 1) + rest + own > most:
            yield batch
            batch, rest = [], 0
        batch.append(one)
        rest += own
    if batch:
        yield batch
