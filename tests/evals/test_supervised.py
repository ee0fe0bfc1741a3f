"""The supervised baseline: it learns from train alone, and stands whatever train lacks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from preceptor.core.errors import InputError
from preceptor.core.fields import LabelField, ListField
from preceptor.core.records import Example, Gold
from preceptor.evals import baselines, splits
from preceptor.evals.baselines import supervised, table
from preceptor.evals.baselines.targets import targets
from preceptor.evals.task import Task, resolve

TONE = LabelField(name="tone", values=("good", "bad", "flat"))
AIDS = ListField(name="aids", values=("cane", "walker", "chair"))
WORDS = {"good": "cheerful bright", "bad": "gloomy sore", "flat": "plain"}
MARKS = {"cane": "leaning stick", "walker": "rollator frame", "chair": "wheels"}
FILL = "today yesterday morning clinic letter bus garden window doctor table river cloud".split()


def notes(count: int, seed: int = 0) -> list[Example]:
    """Return notes whose words tell the tone and the aids; two notes a patient."""
    r, made = Random(seed), list[Example]()
    for i in range(count):
        tone = r.choice(TONE.values)
        held = [v for v in AIDS.values if r.random() < 0.4]
        said = [*WORDS[tone].split(), *(w for v in held for w in MARKS[v].split()), *r.sample(FILL, 6)]
        r.shuffle(said)
        gold: Gold = {"tone": tone, "aids": [*held]}
        made.append(
            Example(id=f"s{seed}n{i}", group=f"s{seed}p{i // 2}", text=" ".join(said), gold=gold)
        )
    return made


TASK = Task(name="t", fields=(TONE, AIDS))


def said(
    train: Sequence[Example],
    asked: Sequence[Example],
    task: Task = TASK,
    embed: supervised.Embed | None = None,
) -> dict[str, Gold]:
    return baselines.predict("embedding" if embed else "tfidf", task, train, asked, embed)


def test_words_that_tell_a_label_or_a_value_are_learned() -> None:
    asked = notes(60, seed=1)
    answers = said(notes(120), asked)
    right = sum(answers[e.id]["tone"] == (e.gold or {})["tone"] for e in asked)
    assert right >= 55
    same = sum(answers[e.id]["aids"] == (e.gold or {})["aids"] for e in asked)
    assert same >= 50


def test_gold_of_the_notes_that_are_asked_is_not_looked_at_and_answers_are_the_same_each_time() -> None:
    train, asked = notes(80), notes(20, seed=1)
    bare = [e.model_copy(update={"gold": None}) for e in asked]
    assert said(train, asked) == said(train, bare) == said(train, asked)


def test_values_come_in_the_order_of_the_field_and_no_more_than_it_takes() -> None:
    few = Task(name="t", fields=(ListField(name="aids", values=AIDS.values, max_items=2),))
    train = [e.model_copy(update={"gold": {"aids": (e.gold or {})["aids"]}}) for e in notes(120)]
    everything = Example(id="z", group="z", text=" ".join(MARKS.values()))
    assert said(train, [everything])["z"]["aids"] == ["cane", "walker", "chair"]
    assert said(train, [everything], few)["z"]["aids"] == ["cane", "walker"]


def _with(gold: Gold | None, count: int = 12, group: str = "") -> list[Example]:
    return [
        Example(id=f"n{i}", group=group or f"p{i}", text=f"word{i} {FILL[i % 12]}", gold=gold)
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("train", "tone", "aids"),
    [
        ([], "flat", []),
        (_with(None), "flat", []),
        (_with({"tone": "bad", "aids": ["cane"]}), "bad", ["cane"]),
        (_with({"aids": []}), "flat", []),
        (_with({"tone": "bad"}, 1), "bad", []),
    ],
)
def test_where_train_cannot_tell_the_answer_is_the_majority(
    train: list[Example], tone: str, aids: list[str]
) -> None:
    assert said(train, notes(3, seed=1)) == {f"s1n{i}": {"tone": tone, "aids": aids} for i in range(3)}


def test_one_patient_two_notes_and_notes_without_words_are_enough_to_stand() -> None:
    one = [e.model_copy(update={"group": "p"}) for e in notes(30)]
    assert len(said(one, notes(5, seed=1))) == 5
    assert len(said(notes(2), notes(5, seed=1))) == 5
    signs = [e.model_copy(update={"text": "?! …"}) for e in notes(30)]
    assert len({str(a["tone"]) for a in said(signs, notes(5, seed=1)).values()}) == 1
    assert said(notes(30), []) == {}


def test_missing_gold_of_one_field_leaves_the_others_theirs() -> None:
    train = notes(120)
    partly = [
        e.model_copy(update={"gold": {"tone": (e.gold or {})["tone"]}}) if i % 2 else e
        for i, e in enumerate(train)
    ]
    asked = notes(40, seed=1)
    whole, part = said(train, asked), said(partly, asked)
    assert [a["tone"] for a in whole.values()] == [a["tone"] for a in part.values()]


def test_strength_is_chosen_without_notes_of_the_same_patient() -> None:
    # Each patient has a name of its own and one tone: only notes of the same patient tell it, so that
    # within patients the loosest fit would look best.
    r = Random(3)
    tones = {p: r.choice(["good", "bad"]) for p in range(30)}
    train = [
        Example(id=f"n{i}", group=f"p{i // 4}", text=f"name{i // 4} name{i // 4} {r.choice(FILL)}",
                gold={"tone": tones[i // 4]})
        for i in range(120)
    ]  # fmt: skip
    features = supervised._tfidf([e.text for e in train], [])
    assert features is not None
    question = supervised._question(targets([TONE])[0], train)
    best = supervised._strength([question], features[0])
    assert supervised._score([question], features[0], best) < 0.75


def test_an_embedder_takes_the_place_of_words() -> None:
    def embed(texts: Sequence[str]) -> list[tuple[float, ...]]:
        return [tuple(float(w in t) + 0.01 for w in ("cheerful", "gloomy", "plain")) for t in texts]

    asked = notes(40, seed=1)
    answers = said(notes(80), asked, embed=embed)
    assert all(answers[e.id]["tone"] == (e.gold or {})["tone"] for e in asked)
    with pytest.raises(InputError, match="needs an embedder"):
        baselines.predict("embedding", TASK, notes(8), asked)


def test_it_reaches_on_toxicity_what_the_note_counts_allow() -> None:
    task = resolve("toxicity")
    reached = []
    for seed in range(2):
        made = splits.make(task, seed)
        train, dev = made.examples(task, "train"), made.examples(task, "dev")
        answers = baselines.predict("tfidf", task, train, dev)
        pairs = [(answers[e.id][n], v) for e in dev for n, v in (e.gold or {}).items()]
        reached.append(sum(a == b for a, b in pairs) / len(pairs))
    assert 0.40 < sum(reached) / len(reached) < 0.46


def test_the_table_has_every_baseline_of_the_task_the_best_first() -> None:
    task = TASK.model_copy(update={"examples": tuple(notes(150))})
    rows = table.on_dev(task)
    assert {row.name for row in rows} == set(baselines.names_for(task))
    assert [row.score.value for row in rows] == sorted((row.score.value for row in rows), reverse=True)
    assert rows[0].name == "tfidf"
    assert rows[0].score.low <= rows[0].score.value <= rows[0].score.high
    lines = table.text(rows).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[-1].split()[0] == rows[-1].name


def test_the_table_is_by_the_task_s_metric() -> None:
    task = TASK.model_copy(update={"examples": tuple(notes(60))})
    exact = task.model_copy(update={"metric": "exact_match"})
    assert table.on_dev(task) != table.on_dev(exact)
