"""What came of each phrase of a move, told from the answers that the estimate asked for anyway."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from preceptor.core.records import Example, Scored
from preceptor.graphs import phrase_gains
from tests.graphs.small import finished, opened

TEXTS = ("Burning up. Hacking.", "Burning up.", "Hacking at night.", "Well.")


def scored(*values: float) -> list[Scored]:
    return [
        Scored(example_id=f"n{i}", group=f"p{i}", fields={"fever": v}, score=v, valid=True)
        for i, v in enumerate(values)
    ]


def gains(phrases: list[JsonValue], before: list[Scored], after: list[Scored]) -> object:
    notes = [Example(id=f"n{i}", group=f"p{i}", text=text) for i, text in enumerate(TEXTS)]
    patch: JsonValue = {"kind": "add_look_for", "field": "fever", "phrases": phrases}
    return phrase_gains.of_move({"patches": [patch]}, notes, before, after)


def test_a_change_is_shared_by_the_phrases_that_the_note_holds() -> None:
    found = gains(["burning up", "hacking", "sweats"], scored(0, 0, 1, 1), scored(1, 1, 0, 0))
    assert found == {"fever": {"burning up": 0.375, "hacking": -0.125, "sweats": 0.0}}


def test_one_phrase_alone_has_the_figure_of_its_field() -> None:
    assert gains(["burning up"], scored(0, 0, 0, 0), scored(1, 1, 1, 1)) == {}


def test_other_moves_and_strange_arguments_have_none() -> None:
    strange: list[JsonValue] = ["all", 3, [3, {"kind": "add_rule", "text": "x"}], None]
    for patches in strange:
        args: dict[str, JsonValue] = {"patches": patches}
        assert phrase_gains.of_move(args, [], [], []) == {}


def test_a_run_remembers_what_came_of_each_phrase(tmp_path: Path) -> None:
    state = finished(tmp_path)
    with opened(tmp_path) as session:
        attempts = session.attempts(state["attempts"])
    told = [a.phrases for a in attempts if a.phrases]
    assert told
    assert all(len(own) > 1 for fields in told for own in fields.values())
