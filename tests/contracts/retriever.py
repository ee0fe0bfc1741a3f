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
        assert any(flat(h) for h in retriever.hits(examples, fields))

    def test_never_the_note_itself_nor_its_patient(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        for example, hits in zip(examples, retriever.hits(examples, fields), strict=True):
            for _, shot in flat(hits):
                assert shot.group != example.group
                assert shot.example_id != example.id

    def test_hits_are_examples_with_their_gold(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        by_id = {e.id: e for e in examples}
        names = {f.name for f in fields}
        for hits in retriever.hits(examples[:10], fields):
            for name, shot in flat(hits):
                source = by_id[shot.example_id]
                assert shot.group == source.group
                assert set(shot.answer) <= names
                assert not name or name in shot.answer
                assert shot.answer.items() <= (source.gold or {}).items()

    def test_the_gold_of_the_note_is_not_looked_at(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        unlabelled = [e.model_copy(update={"gold": None}) for e in examples[:10]]
        assert retriever.hits(unlabelled, fields) == retriever.hits(examples[:10], fields)

    def test_notes_together_get_what_each_gets_alone(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        alone = [retriever.hits([e], fields)[0] for e in examples[:10]]
        assert retriever.hits(examples[:10], fields) == alone
        assert retriever.hits([], fields) == []

    def test_only_asked_fields(
        self, retriever: Retriever, examples: tuple[Example, ...], fields: Sequence[FieldSpec]
    ) -> None:
        for hits in retriever.hits(examples[:10], fields[:1]):
            assert set(hits) <= {"", fields[0].name}
