"""Tools say why no call of theirs is worth considering; a run says why it does not offer a move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.blocked import Blocked
from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Evidence
from preceptor.core.records import Example, ModelRef
from preceptor.graphs import moves
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.sft.faces import Faces
from preceptor.tools.sft.finetune import FEWEST, FineTune
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.graphs.small import OPTIONS
from tests.tools.sft import small

INDEX = IndexExamples()


def said_by(tool: IndexExamples | FineTune, evidence: Evidence) -> str:
    return tool.hindered(evidence, tool.prospects(evidence))


def test_an_index_that_may_help_is_not_hindered() -> None:
    assert said_by(INDEX, evidence_of(corpus(60), blind)) == ""


def test_no_neighbour_has_the_right_label() -> None:
    notes = corpus(60)

    def right(example: Example, field: FieldSpec) -> JsonValue:
        return (example.gold or {})[field.name]

    assert "no example of another patient has the right answer" in said_by(
        INDEX, evidence_of(notes, right)
    )


def test_an_index_that_would_do_more_harm_tells_its_counts() -> None:
    found = INDEX.prospects(evidence_of(corpus(60), blind))
    worse = [p.model_copy(update={"gain": -0.01}) for p in found]
    said = INDEX.hindered(evidence_of(corpus(60), blind), worse)
    assert said.startswith("an index gains nothing on train: examples of other patients speak for ")


def test_a_training_says_what_it_lacks(tmp_path: Path) -> None:
    notes = corpus(45)
    assert said_by(FineTune(tmp_path, Faces()), small.evidence(notes)) == ""
    few = said_by(FineTune(tmp_path, Faces()), small.evidence(notes[:12]))
    assert few == f"12 labelled notes to learn from; a training is proposed from {FEWEST} on"
    served = small.recipe().model_copy(update={"model": ModelRef(spec="ollama:mine")})
    away = said_by(FineTune(tmp_path, Faces()), small.evidence(notes, served))
    assert "mine" in away
    assert "\n" not in away
    here = Faces(configured={"mine:latest": small.model()})
    back = said_by(FineTune(tmp_path, here), small.evidence(notes, served))
    assert "must go back to its server" in back


def test_the_toolbox_tells_absent_moves_and_hindered_tools(tmp_path: Path) -> None:
    away = Blocked(move="index_examples", reason="not among --moves")
    box = Toolbox([EditPrompt(), FineTune(tmp_path, Faces())], [away])
    seen = evidence_of(corpus(12), blind)
    found = box.blocked(seen, box.prospects(seen))
    assert [one.move for one in found] == ["index_examples", "fine_tune"]


@pytest.mark.parametrize(
    ("more", "moves_", "why"),
    [
        (
            {"student": "openai:x@http://127.0.0.1:9/v1"},
            "fine_tune",
            "whose weights are on this machine",
        ),
        ({"student": "nano", "moves": ("fine_tune",)}, "edit_prompt", "not among --moves"),
        ({"student": "nano"}, "label_examples", "there are no unlabelled notes"),
        ({"moves": ("edit_prompt",)}, "label_examples", "of use to fine_tune alone"),
    ],
)
def test_a_run_says_why_it_does_not_offer_a_move(
    more: dict[str, object], moves_: str, why: str
) -> None:
    found = moves.absent(OPTIONS.model_copy(update=more), None, None)
    assert why in {one.move: one.reason for one in found}[moves_]


def test_notes_without_gold_are_nothing_to_index() -> None:
    bare = evidence_of(corpus(8), blind)
    unlabelled = tuple(e.model_copy(update={"gold": None}) for e in bare.examples)
    assert said_by(INDEX, replace(bare, train=unlabelled)) == "no train note has a gold answer"
