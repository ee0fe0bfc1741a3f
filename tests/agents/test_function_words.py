"""Function words of a language that nobody named are no phrases; English notes are read as ever."""

from __future__ import annotations

from random import Random

from preceptor.agents.mining import STOP, Corpus
from preceptor.core.records import Example
from tests.contracts.evidence import corpus

NOUNS = (
    "Schmerz Husten Ausschlag Schwindel Durchfall Atemnot Juckreiz Fieber Schwellung Rötung "
    "Klinik Tochter Woche Nacht Treppe Therapie Wunde Narbe Hand Schulter Hüfte Praxis Kontrolle"
).split()


def german(notes: int = 40) -> tuple[Example, ...]:
    r = Random(5)
    out = []
    for i in range(notes):
        lines = []
        for _ in range(6):
            a, b, c = r.sample(NOUNS, 3)
            lines.append(f"Seit der {a} und {b} starke Schmerzen bei der {c}.")
        out.append(Example(id=f"n{i}", group=f"p{i}", text="\n".join(lines)))
    return tuple(out)


def test_function_words_of_german_notes_begin_and_end_no_phrase() -> None:
    read = Corpus(german())
    edges = {w for text in read.phrases for w in (text.split()[0], text.split()[-1])}
    assert not edges & {"der", "und"}
    assert {"husten", "schmerzen", "starke"} <= edges
    assert any(" der " in f" {text} " for text in read.phrases), "inside a phrase they may stand"


def test_english_notes_are_read_as_ever() -> None:
    assert Corpus(corpus(60)).stop == STOP
