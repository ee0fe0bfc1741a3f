"""The suites of small ports: our implementations pass, broken ones do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import JsonValue

from preceptor.core.cache import AnswerCache
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.ports import Embedder, Evaluator, Retriever, Scorer, Student
from preceptor.core.records import Example, Shot
from preceptor.core.render import Hits
from preceptor.core.text import words
from preceptor.evals.evaluate import CachedEvaluator, EvaluatorSettings
from preceptor.evals.scorers import scorer_for
from preceptor.tools.rag.embed import HashEmbedder, Remembering
from tests.agents.dictionary import Dictionary
from tests.contracts.embedder import EmbedderContract
from tests.contracts.evaluator import EvaluatorContract
from tests.contracts.evidence import FIELDS, corpus
from tests.contracts.retriever import RetrieverContract
from tests.contracts.scorer import ScorerContract


class TestLabelScorer(ScorerContract):
    @pytest.fixture
    def scorer(self) -> Scorer:
        return scorer_for(LabelField(name="pain", values=("present", "absent", "unknown")))

    @pytest.fixture
    def golds(self) -> list[JsonValue]:
        return ["present", "absent", "unknown"]


class TestListScorer(ScorerContract):
    @pytest.fixture
    def scorer(self) -> Scorer:
        return scorer_for(ListField(name="drugs"))

    @pytest.fixture
    def golds(self) -> list[JsonValue]:
        return [[], ["aspirin"], ["aspirin", "insulin"]]


class TestCachedEvaluator(EvaluatorContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Callable[[Student], Evaluator]]:
        with AnswerCache(tmp_path / "cache.sqlite") as cache:
            yield lambda student: CachedEvaluator(
                EvaluatorSettings(FIELDS, chunk=8), lambda recipe: student, cache
            )


class TestHashEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashEmbedder(64)


class TestRemembering(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return Remembering(HashEmbedder(64))


class TestDictionary(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return Dictionary({"bowels": "loose watery stools"})


class ByWords:
    """The plainest retriever: the notes that share most words, of other patients."""

    def __init__(self, examples: Sequence[Example], leaky: bool = False) -> None:
        self._examples, self._leaky = examples, leaky

    def hits(self, examples: Sequence[Example], fields: Sequence[FieldSpec]) -> list[Hits]:
        return [self._hits(e, fields) for e in examples]

    def _hits(self, example: Example, fields: Sequence[FieldSpec]) -> Hits:
        mine = set(words(example.text))
        others = [e for e in self._examples if self._leaky or e.group != example.group]
        best = sorted(others, key=lambda e: (-len(mine & set(words(e.text))), e.id))[:2]
        return {
            f.name: [
                Shot(
                    example_id=e.id, group=e.group, text=e.text, answer={f.name: (e.gold or {})[f.name]}
                )
                for e in best
            ]
            for f in fields
        }


class TestPlainRetriever(RetrieverContract):
    @pytest.fixture
    def retriever(self, examples: tuple[Example, ...]) -> Retriever:
        return ByWords(examples)


def test_the_suite_catches_a_leaky_retriever() -> None:
    notes = corpus(40)
    with pytest.raises(AssertionError):
        RetrieverContract().test_never_the_note_itself_nor_its_patient(
            ByWords(notes, leaky=True), notes, FIELDS
        )
