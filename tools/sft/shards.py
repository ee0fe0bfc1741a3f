"""A batch over several processes: the same steps as one process makes, each process with its part.

Owns which bundles a process reads. The trainer's own division repeats rows to fill up the last batch of
an epoch, and makes batches as many times larger as there are processes: other steps, other losses.
Here a step has the bundles that one process would read, dealt out in turn; a process that is left
without one reads one whose answers do not count, since all have to meet in each step. A training entry
point: it imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from preceptor.tools.sft.bundles import IGNORED

Place = tuple[int, bool]
"""A bundle, and whether it counts."""


class Dealt:
    """Batches of places, as a batch sampler.

    Args:
        order: The bundles of an epoch, in order; asked again for each.
        size: Bundles per batch, all processes together.
        rank: Which process.
        world: Of how many.
    """

    def __init__(self, order: Any, size: int, rank: int, world: int) -> None:
        self._order, self._size, self._rank, self._world = order, size, rank, world

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)

    def __iter__(self) -> Iterator[list[Place]]:
        places = list(self._order)
        for at in range(0, len(places), self._size):
            batch = places[at : at + self._size]
            own = batch[self._rank :: self._world]
            yield [(i, True) for i in own] or [(batch[0], False)]


class Placed:
    """Rows by place.

    Args:
        rows: The rows of a data set.
    """

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        number, counts = place
        row = dict(self._rows[number])
        if not counts:
            row |= {"labels": [IGNORED] * len(row["labels"]), "row_tokens": 0}
        return row


def loader(rows: Sequence[dict[str, Any]], collator: Any, batches: Dealt) -> Any:
    """Return what reads the rows in batches."""
    from torch.utils.data import DataLoader

    placed: Any = Placed(rows)
    return DataLoader(placed, batch_sampler=batches, collate_fn=collator)  # type: ignore[arg-type, unused-ignore]
