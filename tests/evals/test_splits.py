"""Splits: whole groups, balanced labels, one draw per seed on every machine, sealed."""

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.core.errors import TaskError
from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.evals import splits
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task

FIELDS = (
    LabelField(name="pain", values=("present", "absent", "unknown")),
    LabelField(name="nausea", values=("present", "absent", "unknown")),
)


def example(i: int, group: str, split: str | None = None) -> Example:
    labels = ("present", "absent", "unknown")
    return Example(
        id=f"n{i}",
        group=group,
        text=f"note {i}",
        gold={"pain": labels[i % 3], "nausea": "present" if i % 7 == 0 else "unknown"},
        meta={"split": split} if split else {},
    )


def task(examples: list[Example], split: SplitSpec | None = None) -> Task:
    return Task(name="t", fields=FIELDS, examples=tuple(examples), split=split or SplitSpec(seed=3))


def pairs(n: int) -> list[Example]:
    return [example(i, f"p{i // 2}") for i in range(n)]


def test_counts_are_met_exactly_when_groups_allow() -> None:
    made = splits.make(task(pairs(294), SplitSpec(train=94, dev=100, test=100)))
    assert [len(made.ids(p)) for p in splits.PARTS] == [94, 100, 100]


def test_what_is_not_asked_for_is_left_out() -> None:
    made = splits.make(task(pairs(294), SplitSpec(train=20, dev=10, test=10)))
    assert [len(made.ids(p)) for p in splits.PARTS] == [20, 10, 10]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=12, max_size=60), st.integers(0, 99))
def test_a_group_never_stands_in_two_parts(sizes: list[int], seed: int) -> None:
    groups = [f"g{g}" for g, size in enumerate(sizes) for _ in range(size)]
    t = task([example(i, g) for i, g in enumerate(groups)])
    made = splits.make(t, seed)
    parts = [{e.group for e in made.examples(t, p)} for p in splits.PARTS]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert sum(len(made.ids(p)) for p in splits.PARTS) <= len(groups)


def test_labels_are_balanced_better_than_by_chance() -> None:
    t = task([example(i, f"p{i}") for i in range(210)], SplitSpec(train=70, dev=70, test=70))
    made = splits.make(t)
    for part in splits.PARTS:
        seen = Counter((f, v) for e in made.examples(t, part) for f, v in (e.gold or {}).items())
        assert abs(seen["pain", "present"] - 70 / 3) < 2
        assert abs(seen["nausea", "present"] - 10) <= 1


def test_one_field_can_be_the_one_to_balance() -> None:
    spec = SplitSpec(train=70, dev=70, test=70, stratify_by="nausea")
    t = task([example(i, f"p{i}") for i in range(210)], spec)
    made = splits.make(t)
    for part in splits.PARTS:
        golds = [e.gold or {} for e in made.examples(t, part)]
        assert sum(g["nausea"] == "present" for g in golds) == 10


def test_the_order_of_the_data_does_not_matter_and_the_seed_does() -> None:
    there = splits.make(task(pairs(60)))
    back = splits.make(task(pairs(60)[::-1]))
    other = splits.make(task(pairs(60)), 4)
    assert set(there.test) == set(back.test)
    assert there.digest("test") == back.digest("test")
    assert set(there.test) != set(other.test)


def test_the_hash_seed_of_python_does_not_matter() -> None:
    code = (
        "from tests.evals.test_splits import pairs, task\n"
        "from preceptor.evals import splits\n"
        "print(splits.make(task(pairs(90))).fingerprint)"
    )
    code = "import sys; sys.path.insert(0, '.')\n" + code
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {splits.make(task(pairs(90))).fingerprint + "\n"}


def test_the_seal_sees_every_change_of_text_or_gold() -> None:
    notes = pairs(60)
    made = splits.make(task(notes))
    spot = next(i for i, e in enumerate(notes) if e.id == made.test[0])
    for update in ({"text": "note 1 "}, {"gold": {**(notes[spot].gold or {}), "pain": "unknown"}}):
        changed = [*notes]
        changed[spot] = notes[spot].model_copy(update=update)
        if changed[spot] != notes[spot]:
            part = [e for e in changed if e.id in made.test]
            assert splits.seal(part) != made.digest("test")


def test_given_parts_are_honoured() -> None:
    given_parts = ["train"] * 4 + ["dev"] * 2 + ["test"] * 2
    notes = [example(i, f"p{i}", p) for i, p in enumerate(given_parts)]
    made = splits.make(task(notes), 17)
    assert made.train == ("n0", "n1", "n2", "n3")
    assert made.test == ("n6", "n7")


def test_a_partly_given_split_is_filled_up() -> None:
    notes = [example(i, f"p{i}", "test" if i < 5 else None) for i in range(30)]
    made = splits.make(task(notes, SplitSpec(train=10, dev=10, test=10)))
    assert {f"n{i}" for i in range(5)} <= set(made.test)
    assert [len(made.ids(p)) for p in splits.PARTS] == [10, 10, 10]


def test_a_group_in_two_given_parts_is_an_error() -> None:
    with pytest.raises(TaskError, match=r"group 'p0' stands in two splits \(train and test"):
        splits.make(task([example(0, "p0", "train"), example(1, "p0", "test"), *pairs(20)[4:]]))


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(TaskError, match="'valid' is none of train, dev, test"):
        splits.make(task([example(0, "p0", "valid"), *pairs(20)[2:]]))


def test_an_empty_part_is_an_error() -> None:
    with pytest.raises(TaskError, match="test split is empty"):
        splits.make(task(pairs(60), SplitSpec(train=30, dev=30, test=0)))
    with pytest.raises(TaskError, match="split is empty"):
        splits.make(task(pairs(4)))


def test_notes_without_gold_are_kept_apart() -> None:
    bare = [Example(id=f"u{i}", group=f"q{i}", text="x") for i in range(5)]
    same = Example(id="twin", group="p0", text="x")
    t = task([*pairs(60), *bare, same])
    made = splits.make(t)
    assert {f"u{i}" for i in range(5)} <= set(made.unlabelled)
    home = next(p for p in splits.PARTS if "n0" in made.ids(p))
    assert ("twin" in made.unlabelled) == (home == "train")


def test_counts_and_fractions_do_not_mix() -> None:
    with pytest.raises(ValueError, match="not both"):
        SplitSpec(train=94, dev=0.5, test=0.2)
    with pytest.raises(ValueError, match="more than 1"):
        SplitSpec(train=0.5, dev=0.5, test=0.5)
