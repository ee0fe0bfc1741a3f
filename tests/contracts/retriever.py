"""The contract of a Retriever: what every index, ours or a plug-in's, must do.

Subclass ``RetrieverContract``; ``retriever`` gives one that was built from ``examples``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from preceptor.core.fields import FieldSpec
from preceptor.core.ports import Retriever
from preceptor.core.records import Example, Shot
from preceptor.core.render import Hits
from tests.contracts.evidence import FIELDS, corpus


def flat(hits: Hits) -> list[tuple[str, Shot]]:
    """Return (field name, hit), in order."""
    return [(name, shot) for name, shots in sorted(hits.items()) for shot in shots]


class RetrieverContract:
    @pytest.fixture
    def examples(self) -> tuple[Example, ...]:
        return corpus(40)

    @pytest.fixture
    def fields(self) -> tuple[FieldSpec, ...]:
        return FIELDS

    @pytest.fixture
    def retriever(self) -> Retriever:
        raise NotImplementedError

    def test_finds_something(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        assert any(flat(retriever.hits(e, fields)) for e in examples)

    def test_never_the_note_itself_nor_its_patient(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        for example in examples:
            for _, shot in flat(retriever.hits(example, fields)):
                assert shot.group != example.group
                assert shot.example_id != example.id

    def test_hits_are_examples_with_their_gold(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        by_id = {e.id: e for e in examples}
        names = {f.name for f in fields}
        for example in examples[:10]:
            for name, shot in flat(retriever.hits(example, fields)):
                source = by_id[shot.example_id]
                assert shot.group == source.group
                assert set(shot.answer) <= names
                assert not name or name in shot.answer
                assert shot.answer.items() <= (source.gold or {}).items()

    def test_the_gold_of_the_note_is_not_looked_at(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        for example in examples[:10]:
            unlabelled = example.model_copy(update={"gold": None})
            assert flat(retriever.hits(unlabelled, fields)) == flat(retriever.hits(example, fields))

    def test_only_asked_fields(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        for example in examples[:10]:
            assert set(retriever.hits(example, fields[:1])) <= {"", fields[0].name}
