"""The move ``index_examples``: what it builds, what it refuses, and what it expects of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.fields import ListField
from preceptor.core.hits import count, fitting, shrink
from preceptor.core.ports import Evidence, Tool
from preceptor.core.record import canonical
from preceptor.core.records import Example, ModelRef, Recipe, ToolCall
from preceptor.core.render import calls
from preceptor.tools.rag.args import IndexExamplesArgs
from preceptor.tools.rag.artefact import read
from preceptor.tools.rag.embed import embedder_for
from preceptor.tools.rag.index import IndexExamples
from preceptor.tools.rag.passages import from_notes
from preceptor.tools.rag.retriever import QdrantRetriever
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import FIELDS, believes_everything, blind, corpus, evidence_of
from tests.contracts.tool import ToolContract

TRAIN = corpus(60)
SHOWN = evidence_of(TRAIN[:40], blind)
EVIDENCE = replace(SHOWN, train=TRAIN)
TOOL = IndexExamples(embedder_for("hash:32"))


class TestContract(ToolContract):
    @pytest.fixture(
        params=[
            {},
            {"mode": "hybrid", "k": 2, "show": "reason", "diversity": 0.2},
            {"granularity": "section", "include": ["n0", "n1", "n2", "n3"], "mode": "random"},
            {"granularity": "note", "fields": ["rash"], "show": "note"},
        ],
        ids=str,
    )
    def good(self, request: pytest.FixtureRequest) -> dict[str, JsonValue]:
        chosen: dict[str, JsonValue] = request.param
        return chosen

    @pytest.fixture
    def tool(self) -> Tool[Any]:
        return TOOL


def run(evidence: Evidence = EVIDENCE, **args: Any) -> Any:
    return TOOL.run(IndexExamplesArgs.model_validate(args), evidence)


def index(evidence: Evidence = EVIDENCE, **args: Any) -> Any:
    return TOOL.build(IndexExamplesArgs.model_validate(args), evidence)


def test_all_of_train_is_indexed_and_building_twice_is_free() -> None:
    first = run()
    assert {p.example_id for p in read(first.artefacts[first.recipe.index.digest]).passages} > {"n59"}
    assert first.recipe.index.digest == run().recipe.index.digest
    again = run(replace(EVIDENCE, recipe=first.recipe))
    assert again.recipe is None
    assert "Nothing changes" in again.text
    assert run(replace(EVIDENCE, recipe=first.recipe), k=2).recipe is not None
    assert first.added_tokens > 0


def test_notes_that_are_not_of_train_cannot_be_named() -> None:
    with pytest.raises(InputError, match="no labelled train note 'd7'"):
        run(include=["n0", "d7"])


def test_without_labels_there_is_nothing_to_index() -> None:
    blank = tuple(e.model_copy(update={"gold": None}) for e in TRAIN)
    with pytest.raises(InputError, match="label some notes"):
        run(replace(EVIDENCE, train=blank, examples=blank))


def test_an_empty_index_is_refused() -> None:
    one = Example(id="x", group="x", text="Walks. Sleeps.", gold={"rash": "present"})
    with pytest.raises(InputError, match="would be empty"):
        run(replace(EVIDENCE, train=(one,), examples=(), answers=(), scored=()))


def test_pairs_carry_the_teachers_reason() -> None:
    made = index(pairs=[{"example_id": "n0", "field": "rash", "sentence": 1, "reason": "so it says"}])
    (pair,) = [p for p in made.passages if p.source == "pair"]
    assert (pair.example_id, pair.reason, pair.answer) == ("n0", "so it says", TRAIN[0].gold["rash"])  # type: ignore[index]
    for wrong, said in (
        ({"example_id": "n50", "field": "rash", "sentence": 1, "reason": "x"}, "no shown train note"),
        ({"example_id": "n0", "field": "rash", "sentence": 99, "reason": "x"}, "no sentence 99"),
        (
            {"example_id": "n0", "field": "rash", "sentence": "not there", "reason": "x"},
            "does not stand",
        ),
        ({"example_id": "n0", "field": "rash", "sentence": 1, "reason": "x" * 200}, "200 characters"),
        ({"example_id": "n0", "field": "rash", "sentence": 1, "reason": "</note>"}, "a tag"),
    ):
        with pytest.raises(InputError, match=said):
            index(pairs=[wrong])


def test_snippets_are_checked() -> None:
    good = {"field": "rash", "text": "Any rash means yes.", "label": "Present", "reason": "a rule"}
    (made,) = [p for p in index(snippets=[good, good]).passages if p.source == "snippet"]
    assert (made.answer, made.group, made.example_id, made.terms) == ("present", "", "", ("rash",))
    copied = " ".join(TRAIN[50].text.split()[:9])
    for change, said in (
        ({"text": copied}, "copies a note"),
        ({"label": "maybe"}, "no label"),
        ({"field": "zzz"}, "no field"),
    ):
        with pytest.raises(InputError, match=said):
            index(snippets=[{**good, **change}])


def test_the_answer_of_a_snippet_fits_a_closed_list() -> None:
    aids = ListField(name="aids", values=("cane", "Walker"), max_items=1)
    shown = [e.model_copy(update={"gold": {"aids": ["cane"]}}) for e in TRAIN[:4]]
    tool, seen = (
        IndexExamples(),
        evidence_of(tuple(shown), blind, Recipe(model=ModelRef(spec="x")), (aids,)),
    )

    def answer(label: str) -> object:
        given = {"field": "aids", "text": "A rollator is one.", "label": label}
        made = tool.run(tool.args.model_validate({"snippets": [given]}), seen)
        (found,) = [
            p for p in read(next(iter(made.artefacts.values()))).passages if p.source == "snippet"
        ]
        return found.answer

    assert answer("walker") == ["Walker"]
    with pytest.raises(InputError, match=r"'stick' is no list .*some of, parted by ';': cane, W"):
        answer("stick")
    with pytest.raises(InputError, match="takes at most 1 items"):
        answer("cane; walker")


def test_sentences_speak_for_values_that_do_not_stand_in_them() -> None:
    aids = ListField(name="aids", values=("K1", "K2"))
    said = {"K1": "He leans on a blue stick.", "K2": "She pushes her rollator."}
    fill = ("Seen in the clinic.", "Weight is stable.", "We talked about the garden.")
    shown = [
        Example(
            id=f"n{i}", group=f"p{i}", gold={"aids": [*held]},
            text=" ".join([fill[i % 3], *(said[v] for v in held), fill[(i + 1) % 3]]),
        )
        for i, held in enumerate([["K1"], ["K2"], [], ["K1", "K2"]] * 6)
    ]  # fmt: skip
    made = {(p.text, canonical(p.answer)) for p in from_notes(shown, [aids], "sentence")}
    assert made == {(said["K1"], '["K1"]'), (said["K2"], '["K2"]')}


def test_snippets_are_found_for_everyone() -> None:
    given = {"field": "rash", "text": "A rash that comes and goes counts.", "label": "present"}
    made = run(snippets=[given], fields=["rash"])
    found = QdrantRetriever(read(next(iter(made.artefacts.values()))), made.recipe.index)
    (hits,) = found.hits([Example(id="q", group="q", text="A rash that comes and goes.")], FIELDS)
    assert hits["rash"][0].text == given["text"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"embedder": "hash:64"}, "not the configured one"),
        ({"diversity": 0.5}, "dense vectors"),
        ({"fields": ["zzz"]}, "no field 'zzz'"),
    ],
)
def test_what_cannot_be_followed_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(**args)


def test_without_an_embedder_only_words() -> None:
    with pytest.raises(InputError, match="needs an embedder"):
        IndexExamples().run(IndexExamplesArgs(mode="hybrid"), EVIDENCE)


def test_prospects_see_what_examples_can_repair() -> None:
    plain = IndexExamples()
    found = plain.prospects(EVIDENCE)
    assert [p.gain for p in found] == sorted((p.gain for p in found), reverse=True)
    assert found[0].gain > 0.1
    for prospect in found:
        call = ToolCall(id="1", name=prospect.tool, args=prospect.args)
        assert Toolbox([plain]).run(call, EVIDENCE).recipe is not None

    def right(example: Example, field: Any) -> JsonValue:
        return (example.gold or {})[field.name]

    assert plain.prospects(evidence_of(TRAIN, right))[0].gain <= 0
    lured = plain.prospects(evidence_of(TRAIN, believes_everything))
    assert 0 < lured[0].gain < found[0].gain
    assert {str(p.args["mode"]) for p in TOOL.prospects(EVIDENCE)} == {"sparse", "hybrid"}


def test_prospects_of_labels_that_say_nothing_are_none() -> None:
    golds = [e.gold for e in TRAIN]
    mixed = tuple(
        e.model_copy(update={"gold": golds[(i * 7 + 3) % len(golds)]}) for i, e in enumerate(TRAIN)
    )
    good = IndexExamples().prospects(evidence_of(TRAIN, blind))[0].gain
    bad = [p.gain for p in IndexExamples().prospects(evidence_of(mixed, blind))]
    assert max(bad, default=0.0) < good / 3


def test_hits_shrink_until_the_prompt_fits() -> None:
    made = run()
    hits = QdrantRetriever(read(next(iter(made.artefacts.values()))), made.recipe.index).hits(
        TRAIN[:6], FIELDS
    )
    (note, full) = max(zip(TRAIN, hits, strict=False), key=lambda pair: count(pair[1]))

    def longest(found: Any) -> int:
        made_calls = calls(made.recipe, FIELDS, note, found)
        return max(sum(len(m.content) for m in call.messages) for call in made_calls)

    assert fitting(made.recipe, FIELDS, note, full, longest(full))[1] == 0
    kept, dropped = fitting(made.recipe, FIELDS, note, full, longest(full) - 1)
    assert dropped >= 1
    assert longest(kept) < longest(full)
    assert count(kept) + dropped == count(full)
    assert all(list(full[name])[: len(shots)] == list(shots) for name, shots in kept.items())
    assert fitting(made.recipe, FIELDS, note, full, 10) == ({}, count(full))
    joint = made.recipe.model_copy(update={"mode": "joint"})
    assert fitting(joint, FIELDS, note, full, longest({}) + 400)[1] > 0
    assert all(len(shots) == 1 for shots in shrink(full, 1).values())
