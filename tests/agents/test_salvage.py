"""Field by field: what a rejected move is worth keeping of, and what an accepted one should lose."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from preceptor.agents.meaning import Meaning
from preceptor.agents.mining import Corpus
from preceptor.agents.moves import Move
from preceptor.agents.salvage import salvage_moves
from preceptor.agents.study import Study
from preceptor.core.records import Attempt, Guide, ModelRef, Prompt, Recipe
from tests.agents.dictionary import Dictionary
from tests.contracts.evidence import FIELDS, blind, corpus, evidence_of

NAMES = [f.name for f in FIELDS]


def attempt(
    outcome: Literal["accepted", "rejected"], phrases: dict[str, str], gains: dict[str, float]
) -> Attempt:
    patches: list[JsonValue] = [
        {"kind": "add_look_for", "field": name, "phrases": [text]} for name, text in phrases.items()
    ]
    args: dict[str, JsonValue] = {"patches": patches, "reason": "hints_all: test"}
    return Attempt(round=1, tool="edit_prompt", args=args, outcome=outcome, fields=gains)


def study(guides: dict[str, Guide] | None = None) -> Study:
    recipe = Recipe(model=ModelRef(spec="simulated"), prompt=Prompt(guides=guides or {}))
    seen = evidence_of(corpus(40), blind, recipe)
    return Study(seen, Corpus(seen.examples))


def patches(moves: list[Move]) -> JsonValue:
    assert len(moves) == 1
    return moves[0].args["patches"]


def test_a_rejected_move_is_kept_where_it_helped() -> None:
    tried = attempt("rejected", {NAMES[0]: "alpha", NAMES[1]: "beta"}, {NAMES[0]: 0.1, NAMES[1]: -0.1})
    made = patches(salvage_moves(study(), [tried]))
    assert made == [{"kind": "add_look_for", "field": NAMES[0], "phrases": ["alpha"]}]


def test_the_better_of_two_tries_wins() -> None:
    tries = [
        attempt("rejected", {NAMES[0]: "alpha"}, {NAMES[0]: 0.05}),
        attempt("rejected", {NAMES[0]: "gamma"}, {NAMES[0]: 0.20}),
    ]
    made = patches(salvage_moves(study(), tries))
    assert made == [{"kind": "add_look_for", "field": NAMES[0], "phrases": ["gamma"]}]


def test_an_accepted_move_loses_what_harmed() -> None:
    told = {NAMES[0]: Guide(look_for=("alpha",))}
    tried = attempt("accepted", {NAMES[0]: "alpha"}, {NAMES[0]: -0.2})
    made = patches(salvage_moves(study(told), [tried]))
    assert made == [{"kind": "drop_look_for", "field": NAMES[0], "phrases": ["alpha"]}]


def test_nothing_is_proposed_without_a_reason() -> None:
    assert salvage_moves(study(), []) == []
    told = {NAMES[0]: Guide(look_for=("alpha",))}
    again = attempt("rejected", {NAMES[0]: "alpha"}, {NAMES[0]: 0.2})
    assert salvage_moves(study(told), [again]) == []
    assert salvage_moves(study(), [attempt("rejected", {NAMES[0]: "alpha"}, {})]) == []


def tried(gain: float, shares: dict[str, float], outcome: str = "rejected") -> Attempt:
    patch: JsonValue = {"kind": "add_look_for", "field": NAMES[0], "phrases": [*shares]}
    args: dict[str, JsonValue] = {"patches": [patch], "reason": "hints_one: test"}
    return Attempt.model_validate(
        {
            "round": 1,
            "tool": "edit_prompt",
            "args": args,
            "outcome": outcome,
            "fields": {NAMES[0]: gain},
            "phrases": {NAMES[0]: shares},
        }
    )


def meant(guides: dict[str, Guide] | None = None) -> Study:
    plain = study(guides)
    return Study(plain.evidence, plain.corpus, Meaning(lambda: Dictionary({})))


def added(*phrases: str) -> list[JsonValue]:
    return [{"kind": "add_look_for", "field": NAMES[0], "phrases": [*phrases]}]


def test_one_bad_phrase_does_not_void_its_field() -> None:
    lost = tried(-0.1, {"alpha": 0.1, "beta": -0.2, "gamma": 0.0})
    assert patches(salvage_moves(meant(), [lost])) == added("alpha")
    assert salvage_moves(study(), [lost]) == []


def test_a_field_that_gained_loses_its_bad_phrase_alone() -> None:
    gained = tried(0.1, {"alpha": 0.2, "beta": -0.1, "gamma": 0.0})
    assert patches(salvage_moves(meant(), [gained])) == added("alpha", "gamma")
    assert patches(salvage_moves(study(), [gained])) == added("alpha", "beta", "gamma")


def test_a_loss_that_no_phrase_explains_stands_against_the_rest() -> None:
    assert salvage_moves(meant(), [tried(-0.5, {"alpha": 0.1, "beta": -0.1})]) == []


def test_an_accepted_move_loses_the_phrase_that_harmed_alone() -> None:
    told = {NAMES[0]: Guide(look_for=("alpha", "beta"))}
    kept = tried(-0.1, {"alpha": 0.1, "beta": -0.2}, "accepted")
    dropped = {"kind": "drop_look_for", "field": NAMES[0], "phrases": ["beta"]}
    assert patches(salvage_moves(meant(told), [kept])) == [dropped]
