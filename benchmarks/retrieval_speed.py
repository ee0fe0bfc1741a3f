"""How long it takes to load an index and to ask it for one note.

Passages and notes come from the generator of the task ``toxicity``: every statement of its trace is a
passage, and the notes that ask are of other patients. Settings are the move's defaults. Two numbers
each, medians in milliseconds: of this process's CPU time, and of the clock, which on a busy machine
is longer. Qdrant in memory is asked up to ``--largest`` passages, Qdrant Edge and a server
(``PRECEPTOR_QDRANT_URL``) up to ``--served``, where they are there.

    python benchmarks/retrieval_speed.py > docs/results/retrieval_speed.md
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from random import Random

from preceptor.core.records import Example, IndexRef
from preceptor.evals.tasks.toxicity import example_id, notes, task
from preceptor.tools.rag.artefact import Index, IndexConfig, Passage, read
from preceptor.tools.rag.edge import EdgeStore
from preceptor.tools.rag.embed import Vector, embedder_for
from preceptor.tools.rag.phrases import words_of
from preceptor.tools.rag.retriever import QdrantRetriever
from preceptor.tools.rag.server import ServerStore
from preceptor.tools.rag.store import MemoryStore, PointStore

FIELDS = task().fields
DIM = 128
EMBEDDER = embedder_for(f"hash:{DIM}")
PER_PATIENT = 15
"""Fewer statements than any two notes make."""


def index_of(size: int) -> Index:
    """Return an index of so many passages; above 10,000 their dense vectors are drawn at random."""
    made = (
        Passage(
            example_id=example_id(note),
            group=f"p{note.patient}",
            field=mention.field,
            text=mention.sentence,
            answer=note.gold[mention.field],
            terms=(" ".join(words_of(mention.surface)),),
        )
        for note in notes.corpus(size, size // PER_PATIENT + 60)
        for mention in note.mentions
    )
    passages = tuple(islice(made, size))
    draw = Random(size)
    vectors: list[Vector] = []
    if size <= 10_000:
        vectors = EMBEDDER.embed([p.text for p in passages])
    else:
        vectors = [tuple(draw.gauss(0, 1) for _ in range(DIM)) for _ in passages]
    names = tuple(sorted({p.field for p in passages}))
    config = IndexConfig(average=8.0, embedder=EMBEDDER.spec, dim=DIM, fields=names)
    return Index(config, passages, tuple(vectors))


def asking(count: int) -> list[Example]:
    """Return notes of patients that no index holds."""
    written = notes.corpus(1, count)[::2]
    return [Example(id=f"q{i}", group=f"q{i}", text=note.text) for i, note in enumerate(written)]


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return (CPU seconds, seconds of the clock) that ``work`` takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def row(name: str, index: Index, store: Callable[[Index], PointStore], queries: int) -> str:
    """Return one line of the table."""
    held: list[PointStore] = []
    load = seconds(lambda: held.append(store(index)))
    cells = []
    for mode in ("sparse", "hybrid"):
        ref = IndexRef(digest="", k=4, settings={"mode": mode})
        made = QdrantRetriever(index, ref, EMBEDDER, held[0])
        made.hits(asking(1), FIELDS)
        times = [seconds(lambda e=e, m=made: m.hits([e], FIELDS)) for e in asking(queries)]  # type: ignore[misc]
        middle = [1000 * statistics.median(column) for column in zip(*times, strict=True)]
        cells.append(f"{middle[0]:,.1f} / {middle[1]:,.1f}")
    held[0].close()
    return f"| {name} | {len(index.passages):,} | {load[0]:.2f} / {load[1]:.2f} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=10_000)
    parser.add_argument("--served", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=7)
    asked = parser.parse_args()
    url = os.environ.get("PRECEPTOR_QDRANT_URL", "")
    stores: list[tuple[str, Callable[[Index], PointStore], int]] = [
        ("memory", MemoryStore, asked.largest)
    ]
    if find_spec("qdrant_edge"):
        stores.append(("edge", EdgeStore, asked.served))
    if url:
        stores.append(("server", lambda index: ServerStore(index, url), asked.served))
    print("# How fast retrieval is\n")
    print(
        f"Written by `benchmarks/retrieval_speed.py`; {asked.queries} synthetic notes, each asked for"
    )
    print("all twelve fields; CPU time / clock: seconds to load, median milliseconds per note.\n")
    print("| where | passages | load, s | sparse, ms | hybrid, ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    size, largest = 1000, max(limit for _, _, limit in stores)
    while size <= largest:
        index = index_of(size)
        for name, store, limit in stores:
            if size <= limit:
                print(row(name, index, store, asked.queries), flush=True)
        if size == 1000:
            data = index.data
            spent, _ = seconds(lambda d=data: read(d))  # type: ignore[misc]
            line = f"{len(data) / 1e6:.2f} MB, read in {spent:.2f} s of CPU time"
        size *= 10
    print(f"\nThe artefact of 1,000 passages with vectors of 128 dimensions: {line}.")


if __name__ == "__main__":
    main()
