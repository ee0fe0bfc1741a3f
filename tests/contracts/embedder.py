"""The contract of an Embedder: what every one, ours or a plug-in's, must do.

Subclass ``EmbedderContract``; ``embedder`` gives one.
"""

from __future__ import annotations

import math

import pytest

from preceptor.core.ports import Embedder

TEXTS = ("loose stools", "watery stools", "a walk in the park", "", "loose stools")


class EmbedderContract:
    @pytest.fixture
    def embedder(self) -> Embedder:
        raise NotImplementedError

    def test_one_vector_per_text_in_order(self, embedder: Embedder) -> None:
        found = [tuple(v) for v in embedder.embed(TEXTS)]
        assert len(found) == len(TEXTS)
        assert len({len(v) for v in found}) == 1
        assert found[0] == found[4] != found[2]
        assert [tuple(v) for v in embedder.embed([])] == []

    def test_vectors_have_length_one_or_none(self, embedder: Embedder) -> None:
        for vector in embedder.embed(TEXTS):
            length = math.sqrt(sum(v * v for v in vector))
            assert length == pytest.approx(1.0, abs=1e-4) or length == 0.0

    def test_a_text_has_one_vector_whatever_it_is_embedded_with(self, embedder: Embedder) -> None:
        alone = [tuple(embedder.embed([text])[0]) for text in TEXTS]
        assert alone == [tuple(v) for v in embedder.embed(TEXTS)]
