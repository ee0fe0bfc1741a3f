"""What may come next in an answer: an automaton over the model's own tokens, from a JSON Schema.

Owns the constraint (llguidance with the separators of training text, so that no whitespace is free)
and the forced tokens, which need no model. Leaves choosing among the allowed ones to ``decode``, and
lists of pieces of the note to ``copying``. States are shared by all rows of all batches: those of a
label answer are few and computed once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from preceptor.agents.students import copying
from preceptor.core.errors import StudentError
from preceptor.core.fields import FieldSpec, object_schema

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from llguidance._lib import JsonCompileOptions
    from transformers import PreTrainedTokenizerFast

Tokens = NDArray[np.int64]

SEPARATORS: JsonCompileOptions = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}
"""As ``json.dumps`` writes them, and so as ``core.render.answer_text`` does."""

_SHARED_UP_TO = 64
"""A state with more allowed tokens stands inside free text: its followers are not kept."""

_SCHEMAS = 256


class State:
    """A point in an answer.

    Attributes:
        forced: The tokens that must come first.
        allowed: The tokens that may come after them, in order; None if all may.
        done: Whether nothing comes after them.
    """

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._after: dict[int, State] = {}
        self.forced: tuple[int, ...] = ()
        while forced := matcher.compute_ff_tokens():
            self.forced += tuple(forced)
            matcher.consume_tokens(forced)
        self.done = matcher.is_stopped()
        self.allowed: Tokens | None = None if self.done else _allowed(matcher)
        if matcher.is_error():
            raise StudentError("constrained decoding failed", "ask with decoding.constrained = false")

    def after(self, token: int) -> State:
        """Return the point after ``forced`` and one of ``allowed``."""
        found = self._after.get(token)
        if found is None:
            matcher = self._matcher.deep_copy()
            matcher.consume_token(token)
            found = State(matcher)
            if self.allowed is not None and len(self.allowed) <= _SHARED_UP_TO:
                self._after[token] = found
        return found


class Free:
    """Any point in an unconstrained answer."""

    forced: tuple[int, ...] = ()
    allowed: Tokens | None = None
    done = False

    def after(self, token: int) -> Free:
        """Return the same point: nothing is known about what comes next."""
        return self


class Grammar:
    """Compiles what is asked into states.

    Args:
        tokenizer: The model's tokenizer.
        vocabulary: How many logits the model gives.
        ends: The tokens that end an answer.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, ends: frozenset[int]
    ) -> None:
        import llguidance

        raw = tokenizer.backend_tokenizer.to_str()
        self._tokens = llguidance.LLTokenizer(raw, n_vocab=vocabulary, eos_token=sorted(ends))
        self._roots: dict[str, State] = {}

    def start(self, fields: tuple[FieldSpec, ...], source: str = "") -> State:
        """Return the point before an answer to ``fields``; ``source`` is what items are copied from."""
        if source and any(copying.wanted(field) for field in fields):
            return State(self._checked(copying.grammar(fields, source, SEPARATORS)))
        schema = json.dumps(object_schema(fields), ensure_ascii=False)
        if schema not in self._roots:
            if len(self._roots) >= _SCHEMAS:
                self._roots.clear()
            self._roots[schema] = State(self._matcher(schema))
        return self._roots[schema]

    def _matcher(self, schema: str) -> LLMatcher:
        from llguidance import LLMatcher

        return self._checked(LLMatcher.grammar_from_json_schema(schema, overrides=SEPARATORS))

    def _checked(self, grammar: str) -> LLMatcher:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokens, grammar, log_level=0)
        if matcher.is_error():
            raise StudentError("a field's schema cannot be decoded under constraint")
        return matcher


def _allowed(matcher: LLMatcher) -> Tokens:
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype(np.int64)
