"""The loss of guessing is that of the answers' own frequencies, of other notes than the one asked."""

from __future__ import annotations

from math import log

import pytest

from preceptor.tools.sft.bundles import FORCED, TokenRow
from preceptor.tools.sft.guessing import Guesser, judged

A, B, OPEN, SHUT = 1, 2, 8, 9


def label(note: str, said: int, first: int = 0) -> TokenRow:
    """Return a row whose answer is a brace, a label, and a brace."""
    return TokenRow(note, (5,), (OPEN, said, SHUT), (FORCED, first, FORCED), ("pain",), first)


ROWS = [label(f"n{i}", A if i < 6 else B) for i in range(8)]


def test_a_label_is_guessed_by_its_frequency() -> None:
    many = [label(f"n{i}", A if i < 600 else B) for i in range(800)]
    entropy = -(0.75 * log(0.75) + 0.25 * log(0.25))
    assert Guesser(many).loss(many) == pytest.approx(entropy, abs=0.005)
    # The forced tokens, which everybody knows, have no part in it.
    assert Guesser(many).loss([label("new", B)]) == pytest.approx(-log(0.25), abs=0.01)


def test_a_note_does_not_tell_its_own_answer() -> None:
    once = [*ROWS, label("only", 7)]
    assert Guesser(once).loss([label("only", 7)]) > 2.5
    assert Guesser(once).loss([label("another", 7)]) < Guesser(once).loss([label("only", 7)])


def test_the_chance_of_a_guess_by_hand() -> None:
    rows = [label("own", A), *(label(f"n{i}", B) for i in range(3))]
    # Of the other notes none says A, and three say B; two tokens are known, and one more is thought of.
    field = (0 + 1) / (3 + 2 + 1)
    assert Guesser(rows).loss([label("own", A)]) == pytest.approx(-log((0 + field) / (3 + 1)))


def test_what_is_guessed_is_the_commonest() -> None:
    aside = [label("x", A, 0), label("y", B, 1)]
    assert Guesser(ROWS).wrong(aside) == {1}


def test_items_that_nobody_else_has_can_hardly_be_guessed() -> None:
    rows = [
        TokenRow(f"n{i}", (5,), (OPEN, 100 + i, 200 + i, SHUT), (0, 0, 0, FORCED), ("drugs",))
        for i in range(20)
    ]
    assert Guesser(rows).loss(rows) > 1.5
    shared = [
        TokenRow(f"n{i}", (5,), (OPEN, 100, 200, SHUT), (0, 0, 0, FORCED), ("drugs",))
        for i in range(20)
    ]
    assert Guesser(shared).loss(shared) < 0.1


def test_fields_are_guessed_apart() -> None:
    rows = [
        TokenRow(f"n{i}", (5,), (A, B), (0, 1), ("pain", "rash"))
        if i % 4
        else TokenRow(f"n{i}", (5,), (A, A), (0, 1), ("pain", "rash"))
        for i in range(200)
    ]
    assert Guesser(rows).loss(rows) == pytest.approx(
        (0 - 0.75 * log(0.75) - 0.25 * log(0.25)) / 2, abs=0.02
    )


@pytest.mark.parametrize(
    ("guess", "reached", "guessed", "score", "learned"),
    [
        (1.0, 0.5, 1.0, 0.0, True),
        (1.0, 0.99, 1.0, 0.0, False),
        (1.0, 1.3, 0.5, 0.5, False),
        (1.0, 1.3, 0.5, 0.6, True),  # sure of itself, and right more often all the same
    ],
)
def test_what_counts_as_learned(
    guess: float, reached: float, guessed: float, score: float, learned: bool
) -> None:
    assert judged(guess, reached, guessed, score).learned == learned
