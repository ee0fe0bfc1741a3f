"""The task ``phee``, on invented sentences in the format of its files."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from preceptor.core.errors import TaskError
from preceptor.evals import splits
from preceptor.evals.task import Task, resolve
from preceptor.evals.tasks import fetch, phee

SPEC = "preceptor.evals.tasks.phee"
DATA = Path(os.environ.get("PRECEPTOR_DATA", Path(__file__).parents[2] / "../shared/data"))
ROOT = Path(__file__).parents[2]


def mention(context: str, *pieces: str) -> dict[str, Any]:
    return {"text": [[p] for p in pieces], "start": [[context.index(p)] for p in pieces]}


def line(
    name: str, context: str, drugs: list[str], effects: list[str], kind: str = "Adverse_event"
) -> str:
    event: dict[str, Any] = {"event_id": "E1", "event_type": kind, "Trigger": mention(context, "after")}
    event["Treatment"] = {**mention(context, *drugs), "Drug": mention(context, *drugs)}
    event["Effect"] = mention(context, *effects)
    whole = {
        "id": name,
        "context": context,
        "is_mult_event": False,
        "annotations": [{"events": [event]}],
    }
    return json.dumps(whole)


def write(folder: Path, part: str, lines: list[str]) -> None:
    (folder / "phee_v2").mkdir(exist_ok=True)
    (folder / "phee_v2" / f"{part}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for number, part in enumerate(splits.PARTS):
        lines = [
            line(
                f"{number}{i}_{j}",
                f"Sore toe {i} after blandamol in case {j}.",
                ["blandamol"],
                [f"Sore toe {i}"],
            )
            for i in range(4)
            for j in (1, 2)
        ]
        write(tmp_path, part, lines)
    return tmp_path


def test_items_stand_as_the_sentence_has_them_in_its_order(home: Path) -> None:
    context = "Itch and blue nails after zetamide, given with Blandamol after zetamide."
    write(home, "dev", [line("7_1", context, ["Blandamol", "zetamide"], ["blue nails", "Itch"])])
    found = resolve(f"{SPEC}:task_l", home).examples[8]
    assert found.group == "7"
    assert found.gold == {"drugs": ["zetamide", "Blandamol"], "effects": ["Itch", "blue nails"]}


def test_pieces_of_one_mention_and_other_spellings_of_an_item(home: Path) -> None:
    context = "Rash after betamide, then rash and fever."
    whole = json.loads(line("7_1", context, ["betamide"], ["Rash"]))
    event = whole["annotations"][0]["events"][0]
    event["Effect"] = {"text": [["fever", "Rash"], ["rash"]], "start": [[35, 0], [26]]}
    write(home, "dev", [json.dumps(whole)])
    gold = resolve(f"{SPEC}:task_l", home).examples[8].gold or {}
    assert gold["effects"] == ["Rash", "fever"]


def test_an_effect_that_was_wanted_is_no_adverse_effect(home: Path) -> None:
    context = "Calm after zetamide."
    write(home, "dev", [line("7_1", context, ["zetamide"], ["Calm"], "Potential_therapeutic_event")])
    assert resolve(f"{SPEC}:task_l", home).examples[8].gold == {"drugs": ["zetamide"], "effects": []}


def test_the_authors_parts_are_kept_and_abstracts_stay_whole(home: Path) -> None:
    task = resolve(f"{SPEC}:task_l", home)
    made = splits.make(task, 5)
    assert [len(made.ids(p)) for p in splits.PARTS] == [8, 8, 8]
    assert {i[0] for i in made.ids("dev")} == {"1"}
    assert len({e.group for e in task.examples}) == 12


def test_the_smaller_task_has_whole_abstracts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phee, "SIZES", {"train": 5, "dev": 4, "test": 2})
    task = resolve(f"{SPEC}:task", home)
    made = splits.make(task)
    assert [len(made.ids(p)) for p in splits.PARTS] == [4, 4, 2]
    for group in {e.group for e in task.examples}:
        assert len([e for e in task.examples if e.group == group]) == 2


def broken(home: Path, text: str) -> str:
    write(home, "dev", [line("9_1", "Itch after zetamide.", ["zetamide"], ["Itch"]), text])
    with pytest.raises(TaskError) as caught:
        resolve(f"{SPEC}:task", home)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_lines_are_named(home: Path) -> None:
    good = line("9_2", "Itch after zetamide.", ["zetamide"], ["Itch"])
    assert "dev.json, line 2: not JSON" in broken(home, good[:-9])
    other = broken(home, good.replace('"zetamide"', '"betamide"'))
    assert "line 2" in other
    assert "an item of 8 characters does not stand in the sentence" in other
    shape = broken(home, good.replace('"events"', '"event"'))
    assert "annotations.0.events" in shape
    assert "preceptor tasks fetch phee" in shape
    uneven = broken(home, good.replace('"start": [[0]]', '"start": [[]]'))
    assert "line 2: no sentence of the corpus" in uneven


def test_an_abstract_in_two_parts_is_refused(home: Path) -> None:
    write(home, "dev", [line("00_9", "Itch after zetamide.", ["zetamide"], ["Itch"])])
    with pytest.raises(TaskError, match="abstract '00' stands in train and dev"):
        resolve(f"{SPEC}:task", home)


def test_without_its_data_it_says_how_to_get_them(home: Path) -> None:
    (home / "phee_v2" / "test.json").unlink()
    with pytest.raises(TaskError, match=r"no test\.json in .*preceptor tasks fetch phee"):
        resolve(f"{SPEC}:task", home)


def test_it_is_offered_like_anybody_elses_task() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    points = declared["project"]["entry-points"]["preceptor.tasks"]
    assert points["phee"] == f"{SPEC}:task"
    assert points["phee-l"] == f"{SPEC}:task_l"


@pytest.mark.skipif(
    not (DATA / "phee_v2").is_dir(), reason="PRECEPTOR_DATA names no folder with phee_v2/"
)
def test_the_real_phee() -> None:
    whole, part = phee.task_l(DATA), phee.task(DATA)
    fetch.fetch("phee", DATA, say=lambda line: None)  # right as they are: nothing is asked for

    def sizes(task: Task) -> list[int]:
        made = splits.make(task)
        return [len(made.ids(p)) for p in splits.PARTS]

    assert sizes(whole) == [2898, 961, 968]
    assert sizes(part) == [800, 250, 400]
    assert len({e.group for e in whole.examples}) == 1838
