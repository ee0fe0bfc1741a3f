"""How long it takes to load an index and to ask it for one note.

Made-up passages of twelve words over twelve fields; the notes are 200 words. Medians; every number is
of the machine that it ran on, and a busy machine is slower. Qdrant in memory is asked up to
``--largest`` passages, Qdrant Edge and a server (``PRECEPTOR_QDRANT_URL``) up to ``--served``, where
they are there.

    python benchmarks/retrieval_speed.py > docs/results/retrieval_speed.md
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from random import Random

from pydantic import JsonValue

from preceptor.core.fields import LabelField
from preceptor.core.records import Example, IndexRef
from preceptor.tools.rag.artefact import Index, IndexConfig, Passage, read
from preceptor.tools.rag.edge import EdgeStore
from preceptor.tools.rag.embed import Vector, embedder_for
from preceptor.tools.rag.retriever import QdrantRetriever
from preceptor.tools.rag.store import MemoryStore, PointStore, ServerStore

LABELS = ("present", "absent", "unknown")
FIELDS = tuple(LabelField(name=f"symptom {i}", values=LABELS) for i in range(12))
WORDS = [
    f"{a}{b}{c}" for a in "bdfgk" for b in ("alo", "eri", "unto", "iska") for c in ("n", "r", "st", "m")
]
EMBEDDER = embedder_for("hash:128")


def text(draw: Random, size: int) -> str:
    """Return so many words, a full stop after every twelfth."""
    words = [draw.choice(WORDS) + str(draw.randint(0, 40)) for _ in range(size)]
    return " ".join(w + "." if i % 12 == 11 else w for i, w in enumerate(words))


def index_of(size: int) -> Index:
    """Return an index of made-up passages, two per patient."""
    draw = Random(size)
    passages, vectors = [], []
    for i in range(size):
        said = text(draw, 12)
        passages.append(
            Passage(
                example_id=f"n{i}", group=f"p{i // 2}", field=FIELDS[i % 12].name, text=said,
                answer=draw.choice(LABELS), terms=(said.split()[0].strip("."),),
            )
        )  # fmt: skip
        spread = [draw.gauss(0, 1) for _ in range(128)]
        vectors.append(EMBEDDER.embed([said])[0] if size <= 10_000 else tuple(spread))
    names = tuple(f.name for f in FIELDS)
    config = IndexConfig(average=12.0, embedder=EMBEDDER.spec, dim=128, fields=names)
    made: list[Vector] = vectors
    return Index(config, tuple(passages), tuple(made))


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def row(name: str, index: Index, store: Callable[[Index], PointStore], queries: int) -> str:
    """Return one line of the table."""
    held: list[PointStore] = []
    load = seconds(lambda: held.append(store(index)))
    draw = Random(1)
    asked = [Example(id=f"q{i}", group=f"p{i}", text=text(draw, 200)) for i in range(queries)]
    cells = []
    modes: tuple[dict[str, JsonValue], ...] = ({"mode": "sparse"}, {"mode": "hybrid"})
    for mode in modes:
        settings: dict[str, JsonValue] = {**mode, "touching": False}
        ref = IndexRef(digest="", k=4, settings=settings)
        made = QdrantRetriever(index, ref, EMBEDDER, held[0])
        times = [1000 * seconds(lambda e=e, m=made: m.hits([e], FIELDS)) for e in asked]  # type: ignore[misc]
        cells.append(f"{statistics.median(times):,.1f} ({min(times):,.1f} to {max(times):,.1f})")
    held[0].close()
    return f"| {name} | {len(index.passages):,} | {load:.2f} | {' | '.join(cells)} |"


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
    print(f"Written by `benchmarks/retrieval_speed.py`; {asked.queries} notes of 200 words, each asked")
    print("for all twelve fields; median (range) in milliseconds per note, embedding included.\n")
    print("| where | passages | load, s | sparse, ms | hybrid, ms |\n| --- | ---: | ---: | --- | --- |")
    size, largest = 1000, max(limit for _, _, limit in stores)
    while size <= largest:
        index = index_of(size)
        for name, store, limit in stores:
            if size <= limit:
                print(row(name, index, store, asked.queries), flush=True)
        if size == 1000:
            data = index.data
            line = f"{len(data) / 1e6:.2f} MB, read in {seconds(lambda d=data: read(d)):.2f} s"  # type: ignore[misc]
        size *= 10
    print(f"\nThe artefact of 1,000 passages with vectors of 128 dimensions: {line}.")


if __name__ == "__main__":
    main()
