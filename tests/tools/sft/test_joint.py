"""Mixing weights: how many rows of each task, which ones, and how they are named."""

from __future__ import annotations

from collections import Counter

import pytest

from preceptor.core.errors import InputError
from preceptor.core.records import ModelRef, Recipe
from preceptor.tools.sft import data, joint
from tests.contracts.evidence import FIELDS, corpus

RECIPE = Recipe(model=ModelRef(spec="nano"))


def share(name: str, weight: float = 1.0, notes: int = 40) -> joint.Share:
    return joint.Share(name, RECIPE, FIELDS[:2], corpus(notes), weight)


def shown(rows: list[data.Row]) -> int:
    return sum(row.times for row in rows)


@pytest.mark.parametrize("weight", [0.25, 0.5, 1.0, 1.5, 2.0, 3.25, 10.0])
def test_a_weight_is_how_many_times_its_own_rows_a_task_shows(weight: float) -> None:
    own = share("one").rows()
    rows = joint.weighted(own, weight, seed=0)
    assert shown(rows) == weight * len(own)
    per_note = Counter({row.id: row.times for row in rows})
    assert set(per_note.values()) <= {int(weight), int(weight) + 1} - {0}
    assert all(len({r.times for r in rows if r.id == note}) == 1 for note in per_note)


def test_the_draw_is_of_the_seed_and_a_larger_part_holds_the_smaller() -> None:
    own = share("one").rows()

    def drawn(weight: float, seed: int) -> set[str]:
        return {row.id for row in joint.weighted(own, weight, seed)}

    assert drawn(0.5, 1) == drawn(0.5, 1) != drawn(0.5, 2)
    assert drawn(0.25, 1) < drawn(0.5, 1)
    assert joint.weighted(own[::-1], 0.5, 1)[::-1] == joint.weighted(own, 0.5, 1)


def test_tasks_with_the_same_names_of_notes_stay_apart() -> None:
    mix = joint.mixed([share("one", 2), share("two", 0.5)], seed=0)
    assert {row.id.split("/")[0] for row in mix["one"]} == {"one"}
    groups = [{row.group for row in rows} for rows in mix.values()]
    assert not groups[0] & groups[1]
    assert shown(mix["one"]) == 4 * shown(mix["two"])


def test_tasks_about_the_same_patients_name_them_alike() -> None:
    same = [joint.Share(n, RECIPE, FIELDS[:2], corpus(20), 1.0, "one") for n in ("one", "two")]
    one, two = ({row.group for row in rows} for rows in joint.mixed(same, 0).values())
    assert one == two


def test_too_few_notes_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="task 'two': 5 labelled notes are too few"):
        joint.mixed([share("one"), share("two", notes=5)], 0)
    with pytest.raises(InputError, match=r"task 'two': weight 0\.1 leaves 4 notes"):
        joint.mixed([share("one"), share("two", 0.1)], 0)
