"""The synthetic corpus: difficulty without label noise, and the same on every machine."""

import re
from collections import Counter

import pytest

from preceptor.core.records import Gold
from preceptor.evals import baselines, duplicates, splits
from preceptor.evals.task import Task, resolve
from preceptor.evals.tasks import toxicity
from preceptor.evals.tasks.toxicity import frames, notes, oracle
from preceptor.evals.tasks.toxicity.lexicon import SYMPTOMS


@pytest.fixture(scope="module")
def written() -> list[notes.Note]:
    return notes.corpus(toxicity.SEED, toxicity.PATIENTS)


@pytest.fixture(scope="module")
def task() -> Task:
    return resolve("toxicity")


def right(task: Task, said: dict[str, Gold], ids: tuple[str, ...]) -> float:
    pairs = [
        (said[e.id][n], v) for e in task.examples if e.id in ids for n, v in (e.gold or {}).items()
    ]
    return sum(a == b for a, b in pairs) / len(pairs)


def test_the_shape_of_the_corpus(task: Task) -> None:
    made = splits.make(task)
    assert len(task.examples) == 294
    assert set(Counter(e.group for e in task.examples).values()) == {2}
    assert [len(made.ids(p)) for p in splits.PARTS] == [94, 100, 100]
    assert task.synthetic
    assert "SYNTHETIC" in task.source
    assert duplicates.across(task.examples, made) == []


def test_no_label_dominates(task: Task) -> None:
    for field in task.fields:
        seen = Counter(str((e.gold or {})[field.name]) for e in task.examples)
        assert max(seen.values()) < 0.65 * 294
        assert 0.18 * 294 < seen["present"] < 0.38 * 294


def test_the_same_seed_writes_the_same_notes_and_another_one_others(written: list[notes.Note]) -> None:
    assert notes.corpus(toxicity.SEED, 3) == written[:6]
    assert notes.corpus(toxicity.SEED + 1, 3) != written[:6]


def test_the_trace_points_into_the_text_and_gives_the_gold(written: list[notes.Note]) -> None:
    for note in written:
        gold = {s.name: "unknown" for s in SYMPTOMS}
        for m in note.mentions:
            assert note.text[m.start : m.start + len(m.surface)] == m.surface
            assert m.sentence in note.text
            if m.decides:
                gold[m.field] = frames.NOW[m.slot]
        assert gold == note.gold


def test_the_oracle_reads_the_labels_out_of_the_text(task: Task) -> None:
    said: dict[str, Gold] = {e.id: {**oracle.read(e.text)} for e in task.examples}
    assert right(task, said, tuple(said)) >= 0.97


def test_the_oracle_depends_on_the_text() -> None:
    assert oracle.read("HPI: Pt denies dysuria but reports nocturia.")["dysuria"] == "absent"
    assert oracle.read("HPI: Pt denies dysuria but reports nocturia.")["nocturia"] == "present"
    assert oracle.read("HPI: Pt reports dysuria.\nPlan: Dysurea resolved.")["dysuria"] == "absent"
    assert oracle.read("FHx: Father had dysuria.")["dysuria"] == "unknown"
    assert set(oracle.read("Nothing of the kind.").values()) == {"unknown"}


@pytest.mark.parametrize("seed", [0, 1])
def test_rules_stay_at_or_under_0_80(task: Task, seed: int) -> None:
    made = splits.make(task, seed)
    train, test = made.examples(task, "train"), made.examples(task, "test")
    for name in baselines.names_for(task):
        said = baselines.predict(name, task, train, test)
        assert 0.25 < right(task, said, made.test) <= 0.80


def test_even_all_names_of_the_generator_do_not_suffice_for_context_rules(task: Task) -> None:
    names = {s.name: [f.casefold() for f in s.forms] for s in SYMPTOMS}
    said = {e.id: baselines.read(e.text, task.fields, names, baselines.status) for e in task.examples}
    assert 0.6 < right(task, said, tuple(said)) <= 0.80


def test_most_but_not_all_words_of_test_occur_in_train(task: Task, written: list[notes.Note]) -> None:
    by_id = {toxicity.example_id(n): n for n in written}
    made = splits.make(task)

    def forms(ids: tuple[str, ...]) -> list[tuple[str, str]]:
        found = [m for name in ids for m in by_id[name].mentions]
        return [(m.field, re.sub(r"\d+", "#", m.surface.casefold())) for m in found]

    seen, test = set(forms(made.train)), forms(made.test)
    assert 0.12 < sum(f not in seen for f in test) / len(test) < 0.28


def test_every_way_of_saying_it_occurs(written: list[notes.Note]) -> None:
    slots = Counter(m.slot for n in written for m in n.mentions)
    assert set(slots) == set(frames.WHY)
    overturned = sum(
        len({frames.NOW[m.slot] for m in n.mentions if m.field == s.name and m.slot in frames.NOW}) > 1
        for n in written
        for s in SYMPTOMS
    )
    assert overturned > 0.3 * len(written)


def test_the_prompt_gives_nothing_away(task: Task) -> None:
    assert task.prompt.guides == {}
    assert task.prompt.rules == ()


def test_surface_forms_are_unambiguous() -> None:
    forms = [f.casefold() for s in SYMPTOMS for f in (*s.forms, *s.says, *s.negs)]
    assert len(set(forms)) == len(forms)
    assert not [f for s in SYMPTOMS for f in s.forms if re.search(r",| and | or |/", f)]
    assert {s.name for s in SYMPTOMS} <= set(forms)


def test_the_larger_corpus_has_other_patients(task: Task) -> None:
    large = resolve("toxicity-l")
    assert len(large.examples) == 1200
    assert not {e.text for e in large.examples} & {e.text for e in task.examples}
