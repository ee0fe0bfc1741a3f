"""What is asked of Qdrant keeps a patient's own passages out, and equals come in one order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from qdrant_client import models
from qdrant_client.http import models as answers

from preceptor.core.records import Example
from preceptor.tools.rag import searching
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.bm25 import Bm25
from preceptor.tools.rag.retriever import QdrantRetriever
from preceptor.tools.rag.searching import Found, Query, Searcher, Wanted, dbsf, rrf, varied
from preceptor.tools.rag.store import MemoryStore, ServerStore
from tests.contracts.evidence import FIELDS
from tests.tools.rag.built import HASH, NOTES, built, index_of, passage, ref
from tests.tools.rag.fake import FakeQdrant

RASH = (FIELDS[3],)
INDEX = built()
Change = Callable[[Sequence[models.QueryRequest]], Sequence[models.QueryRequest]]


def through(index: Index, change: Change, whole: bool = True) -> MemoryStore:
    """Return Qdrant in memory, whose requests are changed on their way."""
    store = MemoryStore(index)
    client = store._client
    store._searcher = Searcher(
        index, lambda asked: client.query_batch_points("index", change(asked)), whole
    )
    return store


def leaked(bare: Sequence[int]) -> bool:
    """Return whether a note finds itself if these of its requests lose the filter."""
    mine = passage("Red blotches on both arms.", group="me", terms=("red blotches",))
    others = [passage(f"Red blotches {w}.", group=w, terms=("red blotches",)) for w in ("a", "b", "c")]
    index = index_of([mine, *others], HASH)

    def change(asked: Sequence[models.QueryRequest]) -> list[models.QueryRequest]:
        return [
            one.model_copy(update={"filter": None}) if at in bare else one
            for at, one in enumerate(asked)
        ]

    made = QdrantRetriever(index, ref(index, mode="hybrid"), HASH, through(index, change))
    hits = made.hits([Example(id="me-x", group="me", text=mine.text)], RASH)[0]
    return mine.text in [shot.text for shot in hits["rash"]]


def test_every_request_keeps_the_patient_out() -> None:
    assert not leaked(())
    assert leaked((0,)), "the test would see a leak of the words"
    assert leaked((1,)), "the test would see a leak of the sense"


@pytest.mark.parametrize("key", ["", "rash|present"])
@pytest.mark.parametrize("using", [searching.WORDS, searching.SENSE])
@pytest.mark.parametrize("diversity", [0.0, 0.5])
def test_no_request_is_without_the_filter(using: str, key: str, diversity: float) -> None:
    query = Query("me", ("rash",), Bm25(1.0).query("red"), ((1.0, 0.0),), diversity=diversity)
    asked = searching.request(Wanted(query, using, 4, key), 4)
    assert isinstance(asked.filter, models.Filter)
    assert asked.filter.must_not == [
        models.FieldCondition(key="group", match=models.MatchValue(value="me"))
    ]
    assert asked.prefetch is None


def test_equals_at_the_edge_of_a_list_are_chosen_by_number() -> None:
    same = [passage("Red blotches seen.", group=f"p{i}", terms=("red blotches",)) for i in range(130)]
    rare = passage("Red blotches seen.", "absent", group="z", terms=("red blotches",))
    index = index_of([rare, *same], HASH)
    rng = random.Random(3)

    class Ask:
        def __init__(self, store: MemoryStore) -> None:
            self.client, self.calls = store._client, 0

        def __call__(self, asked: Sequence[models.QueryRequest]) -> list[answers.QueryResponse]:
            self.calls += 1
            out = []
            for one in asked:
                everything = one.model_copy(update={"limit": 131})
                (got,) = self.client.query_batch_points("index", [everything])
                rng.shuffle(got.points)
                got.points.sort(key=lambda p: -p.score)
                out.append(answers.QueryResponse(points=got.points[: one.limit]))
            return out

    query = Query("p1", None, index.config.bm25.query("red blotches"), size=2)
    for diversity in (0.0, 0.4):
        sense = tuple(HASH.embed(["Red blotches."])) if diversity else ()
        ask = Ask(MemoryStore(index))
        one = Query(query.group, None, query.words, sense, 2, diversity=diversity)
        for _ in range(3):
            (found,) = Searcher(index, ask, whole=False).search([one])
            numbers = {key: [f.number for f in of] for key, of in found.items()}
            assert numbers == {"rash|absent": [0], "rash|present": [1, 3]}
        assert ask.calls > 3, "the edge was looked into"


@pytest.mark.parametrize("settings", [{}, {"mode": "dense"}], ids=str)
def test_a_short_list_is_filled_up_where_values_are_rare(settings: dict[str, Any]) -> None:
    many = [
        passage(f"Red blotches {i} again.", group=f"p{i}", terms=("red blotches",)) for i in range(120)
    ]
    rare = passage("Nobody here, in all these years, ever told of any red blotches.", "absent", "z")
    rare = rare.model_copy(update={"terms": ("red blotches",)})
    index = index_of([*many, rare], HASH)
    note = Example(id="q", group="q", text="Red blotches 3 again.")
    asked: list[int] = []

    def keep(requests: Sequence[models.QueryRequest]) -> Sequence[models.QueryRequest]:
        asked.append(len(requests))
        return requests

    made = ref(index, 3, **settings)
    short = QdrantRetriever(index, made, HASH, through(index, keep, whole=False)).hits([note], RASH)
    whole = QdrantRetriever(index, made, HASH, MemoryStore(index)).hits([note], RASH)
    assert short == whole
    assert rare.text in [shot.text for shot in short[0]["rash"]]
    assert len(asked) > 1


def test_a_chunk_of_notes_travels_in_one_request() -> None:
    with FakeQdrant() as server:
        store = ServerStore(INDEX, server.url)
        made = QdrantRetriever(INDEX, ref(INDEX, mode="hybrid"), HASH, store)
        together = made.hits(NOTES[:20], FIELDS)
        searches = [r for r in server.requests if "query" in r.path]
        assert len(searches) == 1
        assert together == [made.hits([note], FIELDS)[0] for note in NOTES[:20]]
        made.close()


def test_requests_that_are_large_together_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "MANY", 3)
    sizes: list[int] = []

    def keep(requests: Sequence[models.QueryRequest]) -> Sequence[models.QueryRequest]:
        sizes.append(len(requests))
        return requests

    made = QdrantRetriever(INDEX, ref(INDEX), None, through(INDEX, keep))
    assert made.hits(NOTES[:8], FIELDS) == QdrantRetriever(INDEX, ref(INDEX)).hits(NOTES[:8], FIELDS)
    assert max(sizes) == 3
    assert len(sizes) > 1


def test_fusion_counts_as_qdrant_does() -> None:
    words = [Found(3, 9.0), Found(1, 5.0), Found(2, 1.0)]
    sense = [Found(2, 0.9), Found(3, 0.4)]
    joined = rrf([words, sense], 60)
    assert [f.number for f in joined] == [3, 2, 1]
    assert joined[0].score == pytest.approx(1 / 60 + 1 / 61)
    spread = dbsf([words, sense])
    assert [f.number for f in spread] == [3, 2, 1]
    assert dbsf([[Found(7, 4.0)]]) == [Found(7, 0.5)]
    assert rrf([[Found(5, 1.0)], [Found(4, 1.0)]], 60) == [Found(4, 1 / 60), Found(5, 1 / 60)]


def test_mmr_takes_what_differs_and_the_lowest_of_equals() -> None:
    vectors = [(1.0, 0.0), (0.6, 0.8), (1.0, 0.0), (0.98, 0.2)]
    given = [Found(i, 0.0) for i in (2, 3, 0, 1)]
    plain = [f.number for f in varied(given, vectors, (1.0, 0.0), 0.0)]
    mixed = [f.number for f in varied(given, vectors, (1.0, 0.0), 0.7)]
    assert plain == [0, 2, 3, 1]
    assert mixed[:2] == [0, 1]
    assert varied(given[::-1], vectors, (1.0, 0.0), 0.7) == varied(given, vectors, (1.0, 0.0), 0.7)
    assert varied([], vectors, (1.0, 0.0), 0.5) == []
