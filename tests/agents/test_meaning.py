"""With an embedder the rule teacher proposes what belongs to a field, and what means nearly that."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from pydantic import JsonValue

from preceptor.agents.meaning import Meaning, rising
from preceptor.agents.mining import Corpus
from preceptor.agents.moves import HOPEFUL, field_hints, near_moves
from preceptor.agents.rules import RuleTeacher
from preceptor.agents.study import Study
from preceptor.core import model_home
from preceptor.core.fields import LabelField
from preceptor.core.ports import Evidence
from preceptor.core.records import Example, Guide, ModelRef, Prompt, Recipe
from preceptor.core.text import flat, words
from preceptor.evals.tasks.toxicity import MEANINGS, notes
from preceptor.evals.tasks.toxicity.lexicon import SYMPTOMS, Symptom
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.rag.embed import embedder_for
from preceptor.tools.toolbox import Toolbox
from tests.agents.dictionary import Dictionary
from tests.conftest import FETCHED
from tests.contracts.evidence import NAMES, blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, TeacherContract, situation_of

TOPICS = {name: " ".join((name, *surfaces)) for name, surfaces in NAMES.items()}
BOX = Toolbox([EditPrompt()])
TOOLS = (*BOX.specs(), FINISH)


def known(topics: dict[str, str] = TOPICS) -> Meaning:
    return Meaning(lambda: Dictionary(topics))


class TestRulesWithMeaning(TeacherContract):
    @pytest.fixture
    def teacher(self) -> RuleTeacher:
        return RuleTeacher(meaning=known())


def followups(seed: int) -> Evidence:
    """Return made-up radiotherapy notes of 31 patients, with a student that finds nothing in them."""
    fields = tuple(LabelField(name=s.name, values=tuple(MEANINGS)) for s in SYMPTOMS)
    examples = tuple(
        Example(id=f"n{i}", group=f"p{note.patient}", text=note.text, gold={**note.gold})
        for i, note in enumerate(notes.corpus(seed, 31))
    )
    return evidence_of(examples, blind, fields=fields)


def said(symptom: Symptom) -> str:
    return flat(" ".join((symptom.name, *symptom.forms, *symptom.says, *symptom.negs)))


def lexicon() -> dict[str, str]:
    """Return the words of each symptom that no other one is spoken of in."""
    found = {}
    for own in SYMPTOMS:
        rest = {w for s in SYMPTOMS if s is not own for w in words(said(s))}
        found[own.name] = " ".join(sorted({*words(said(own))} - rest))
    return found


def hints(evidence: Evidence, meaning: Meaning | None) -> dict[str, list[str]]:
    study = Study(evidence, Corpus(evidence.examples), meaning)
    return {of.field.name: [p.text for p in field_hints(study, of, HOPEFUL)[0]] for of in study.fields}


def test_fewer_phrases_of_other_fields_and_of_none_are_proposed() -> None:
    pools = {s.name: said(s) for s in SYMPTOMS}
    meaning = known(lexicon())
    right, wrong = [], []
    for used in (None, meaning):
        found = [hints(followups(seed), used) for seed in (5, 6, 7, 8)]
        fits = [flat(p) in pools[n] for one in found for n, own in one.items() for p in own]
        right.append(sum(fits))
        wrong.append((len(fits) - sum(fits)) / len(fits))
    assert wrong[1] < wrong[0] / 2
    assert right[1] >= right[0]


def test_what_belongs_to_a_field_is_proposed_still() -> None:
    meant = hints(evidence_of(corpus(60), blind), known())
    for name, surfaces in NAMES.items():
        found = meant[name]
        assert len([p for p in found if any(p in s or s in p for s in surfaces)]) >= 2, found


class Blank:
    """An embedder to which all texts are one."""

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        return [(1.0, 0.0) for _ in texts]


def test_an_embedder_that_cannot_read_the_notes_changes_nothing() -> None:
    evidence = evidence_of(corpus(60), blind)
    assert hints(evidence, Meaning(Blank)) == hints(evidence, None)


OTHER = tuple(
    f"{a}{b} plans"
    for a in ("bal", "cor", "dun", "fel", "gor", "hab", "kel")
    for b in ("em", "is", "ux")
)


def with_lay_words(given: tuple[Example, ...]) -> tuple[Example, ...]:
    """Say «bilious» for nausea in two patients' notes: too seldom to be told by counting.

    Every note speaks of two of many other things as well: nearness is seen against all phrases.
    """
    there = [n for n in given if n.gold is not None and n.gold["nausea"] == "unknown"]
    chosen = {there[0].id, next(n.id for n in there if n.group != there[0].group)}
    out = []
    r = Random(1)
    for note in given:
        told = " ".join(f"Spoke about {r.choice(OTHER)}." for _ in range(2))
        note = note.model_copy(update={"text": f"{note.text}\n{told}"})
        if note.id in chosen:
            gold: dict[str, JsonValue] = {**(note.gold or {}), "nausea": "present"}
            text = note.text + "\nFelt bilious."
            note = note.model_copy(update={"text": text, "gold": gold})
        out.append(note)
    return tuple(out)


def near(meaning: Meaning | None, prompt: Prompt) -> dict[str, list[str]]:
    recipe = Recipe(model=ModelRef(spec="simulated"), prompt=prompt)
    evidence = evidence_of(with_lay_words(corpus(60)), blind, recipe)
    found: dict[str, list[str]] = {}
    for move in near_moves(Study(evidence, Corpus(evidence.examples), meaning)):
        listed = move.args["patches"]
        assert isinstance(listed, list)
        for patch in listed:
            assert isinstance(patch, dict)
            assert isinstance(patch["phrases"], list)
            found.setdefault(str(patch["field"]), []).extend(str(p) for p in patch["phrases"])
    return found


TOLD = Prompt(guides={n: Guide(look_for=s[:1]) for n, s in NAMES.items()})


def test_near_synonyms_of_what_is_looked_for_are_proposed() -> None:
    meaning = known({**TOPICS, "nausea": TOPICS["nausea"] + " bilious"})
    found = near(meaning, TOLD)
    assert "bilious" in found["nausea"]
    assert not any("bilious" in own for name, own in found.items() if name != "nausea")
    assert not any(hint in own for own in found.values() for hint in ("parched lips", "queasy"))


def test_there_are_no_near_synonyms_of_nothing_and_without_an_embedder() -> None:
    assert near(known(), Prompt()) == {}
    assert near(None, TOLD) == {}


def test_each_text_is_embedded_once_and_not_before_it_is_needed() -> None:
    made: list[Dictionary] = []

    def make() -> Dictionary:
        made.append(Dictionary(TOPICS))
        return made[-1]

    teacher = RuleTeacher(meaning=Meaning(make))
    assert made == []
    for size in (40, 60):
        evidence = evidence_of(corpus(size), blind)
        teacher.turn(situation_of(evidence), evidence, [], TOOLS)
    assert len(made) == 1
    assert len(made[0].seen) == len(set(made[0].seen)) > 20


def test_values_are_pooled_until_they_never_fall() -> None:
    assert rising([1.0, 3.0, 1.0, 4.0], [1.0, 1.0, 3.0, 1.0]) == [1.0, 1.5, 1.5, 4.0]


@pytest.mark.skipif(
    model_home.read(FETCHED / "all-minilm-l6-v2") is None,
    reason="all-minilm-l6-v2 is not here: preceptor models fetch all-minilm-l6-v2",
)
def test_a_real_embedder_tells_fields_apart() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    meaning = Meaning(lambda: embedder_for("st:all-minilm-l6-v2", models=FETCHED))
    texts = [["diarrhea"], ["rectal pain"], ["fatigue"], ["urinary incontinence"]]
    phrases = [
        *("loose stools", "watery stools", "soreness", "sore bottom", "movements", "tiredness"),
        *("leaking urine", "low energy", "walks", "daughter", "blood pressure", "next scan", "june"),
    ]
    fits = meaning.fits(phrases, texts)
    assert fits["loose stools"][0] > 0.5 > fits["soreness"][0]
    assert fits["sore bottom"][1] > 0.5 > fits["movements"][1]
    assert fits["low energy"][2] > 0.5
