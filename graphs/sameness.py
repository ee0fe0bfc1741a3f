"""Whether a student's two faces are one model: what Ollama serves, and the weights that are trained.

Owns what both are asked and what is counted; asking and counting are ``parity`` and ``comparing``. The
prompts are invented. They are sent raw, where equal token counts say that the vocabulary is the same,
and by chat, where they say that the server's TEMPLATE and the model's own chat template come to the
same length. The raw ones are continued greedily: answers may differ where the served weights are
quantised, so that they are counted and are no error. Sixteen tokens rarely survive four bits whole,
since all after the first difference differ; so the first tokens are compared as well, each of which
stands for itself.

Of some models Ollama puts the start token before every prompt, a raw one that has it already too
(``addSpecials`` in its model/vocabulary.go). One token more in all raw prompts is that, and no other
vocabulary; for what ``export`` makes it is switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from preceptor.agents.publish import Publisher
from preceptor.core import render
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.record import Record
from preceptor.core.records import Call, Decoding, Example, ModelRef, Prompt, Recipe
from preceptor.core.settings import Settings
from preceptor.graphs import comparing, parity, returned

LONGEST = 16
"""Tokens of a continuation."""

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="dry mouth", values=("present", "absent")),
    ListField(name="drugs"),
)
TEXTS = (
    "Started on sertraline 50 mg in March. Dry mouth since then, otherwise well.",
    "78-year-old man, seen at home. BP 135/80 mmHg, HR 72/min, SpO2 97 %.",
    "No complaints today.\n\n- sleeps 6–7 h\n- walks daily\n\nPlan: review in 3 months.",
    "Größe 1,72 m; naïve to opioids; temperature 38.4 °C → paracetamol 1 g p.o.",
)


class Sameness(Record):
    """What was found.

    Attributes:
        prompts: How many were asked.
        raw_equal: In how many the two read as many tokens of our own text.
        chat_equal: In how many as many with the server's template.
        continued_equal: How many greedy continuations are equal.
        first_equal: How many of them begin with the same token.
        level: How the served weights are stored; empty if the server does not tell.
        second_start: Whether the server put a start token before raw prompts that had one.
        off: The first difference of each way of asking, if there is one.
    """

    prompts: int
    raw_equal: int
    chat_equal: int
    continued_equal: int
    first_equal: int
    level: str = ""
    second_start: bool = False
    off: tuple[str, ...] = ()

    @property
    def quantised(self) -> bool:
        """Whether the served weights were made smaller."""
        return self.level.upper() not in returned.WHOLE


def compare(name: str, folder: Path, settings: Settings) -> Sameness:
    """Ask both faces of a student the same.

    Args:
        name: What Ollama calls it.
        folder: Its weights.
        settings: How servers are asked.

    Raises:
        StudentError: If one of the two cannot be used.
    """
    publisher = Publisher()
    try:
        url, level = publisher.url, publisher.level(name)
    finally:
        publisher.close()
    recipe = Recipe(
        model=ModelRef(spec=f"ollama:{name}"),
        prompt=Prompt(instruction="Read the note and fill in the field. Answer in JSON."),
        decoding=Decoding(max_tokens=LONGEST, constrained=False),
    )
    notes = [Example(id=f"n{i}", group=f"n{i}", text=text) for i, text in enumerate(TEXTS)]
    calls = [call for note in notes for call in render.calls(recipe, FIELDS, note)]
    served = comparing.Served(name, url, folder)
    mine = comparing.Remembered(comparing.reference(folder))
    found: dict[str, parity.Parity] = {}
    said: dict[str, comparing.Remembered] = {}
    try:
        for route in ("raw", "chat"):
            said[route] = comparing.Remembered(served.open(route, settings))
            try:
                asked = calls if route == "raw" else [_short(call) for call in calls]
                pair = mine, said[route]
                found[route] = parity.counted(asked, notes, FIELDS, pair, route=route)
            finally:
                said[route].close()
    finally:
        mine.close()
    keys = [call.key for call in calls]
    said_both = [(mine.replies[k].raw.strip(), said["raw"].replies[k].raw.strip()) for k in keys]
    first = _first_token(folder)
    return Sameness(
        prompts=len(calls),
        raw_equal=found["raw"].tokens_equal,
        chat_equal=found["chat"].tokens_equal,
        continued_equal=sum(here == there for here, there in said_both),
        first_equal=sum(first(here) == first(there) for here, there in said_both),
        level=level,
        second_start=all(_surplus(mine, said["raw"], k) == 1 for k in keys),
        off=tuple(_off(f) for f in found.values() if _off(f)),
    )


def _first_token(folder: Path) -> Callable[[str], object]:
    """Return what gives the first token of a text; its first word where the tokenizer is not read."""
    from preceptor.core.errors import InputError, boundary

    try:
        with boundary(InputError, "no tokenizer"):
            from tokenizers import Tokenizer

            made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except InputError:
        return lambda text: text.split()[:1]
    return lambda text: made.encode(text, add_special_tokens=False).ids[:1]


def _short(call: Call) -> Call:
    """Return a call of which only the tokens of the prompt are of interest."""
    return replace(call, decoding=call.decoding.model_copy(update={"max_tokens": 1}))


def _surplus(mine: comparing.Remembered, theirs: comparing.Remembered, key: parity.Key) -> int | None:
    """Return how many tokens more a server read of a prompt; None if one does not say."""
    here, there = mine.replies[key].prompt_tokens, theirs.replies[key].prompt_tokens
    return None if here is None or there is None else there - here


def _off(found: parity.Parity) -> str:
    """Return the first prompt whose tokens differ, as a person reads it."""
    for one in found.differences:
        here, there = one.tokens
        if here != there or here is None:
            return f"{found.route}: {here} tokens here, {there} there"
    return ""
