"""BM25 as two sparse vectors, so that Qdrant's dot product is the score.

Owns the term weights. With ``Modifier.IDF`` Qdrant multiplies each query weight by
ln(1 + (N - n + 0.5) / (n + 0.5)), n of the N points holding the token, so that

    score = sum over shared tokens of  idf · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length / average))

which is Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", eq. 3.15,
with every query token counted once (their k3 = 0): queries are whole notes here, and a word that a note
repeats is no more wanted for it. The phrases that carry a passage's evidence are tokens too, so that a
passage about the same thing comes before one that shares the filler.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from preceptor.tools.rag.tokens import frequencies, is_piece, length, occurrences, token_id

K1, B = 1.2, 0.75

TERM = "="
"""What marks a phrase of evidence among the tokens."""

WAY = 2.0
"""How much more counts that the field is said in the same way."""

TERM_TF = 3.0
"""A phrase of evidence counts like a token that occurs three times."""


@dataclass(frozen=True)
class Sparse:
    """A sparse vector: token numbers, ascending, and their weights."""

    indices: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.indices)


def _sparse(weights: dict[int, float]) -> Sparse:
    """Return the vector of ``weights``; rounded, so that it is the same on every machine."""
    indices = tuple(sorted(weights))
    return Sparse(indices, tuple(round(weights[i], 6) for i in indices))


@dataclass(frozen=True)
class Bm25:
    """The weights of one collection of passages.

    Attributes:
        average: The mean length of a passage in tokens.
        k1: How slowly a repeated token stops to count more.
        b: How much a long passage is held against it, in [0, 1].
    """

    average: float
    k1: float = K1
    b: float = B

    def document(self, text: str, terms: Sequence[str] = ()) -> Sparse:
        """Return the vector of a passage; empty if the text has no tokens.

        Args:
            text: The passage.
            terms: The phrases in it that carry the evidence; each counts as one more token.
        """
        counts = frequencies(text)
        norm = self.k1 * (1 - self.b + self.b * length(counts) / max(self.average, 1e-9))
        weights: dict[int, float] = {}
        for token, tf in counts.items():
            key = token_id(token)
            weights[key] = weights.get(key, 0.0) + tf * (self.k1 + 1) / (tf + norm)
        for term in terms:
            key = token_id(TERM + term)
            weights[key] = TERM_TF * (self.k1 + 1) / (TERM_TF + norm) * (WAY if "|" in term else 1.0)
        return _sparse(weights)

    def query(
        self, text: str, terms: Iterable[str] = (), known: Collection[int] | None = None
    ) -> Sparse:
        """Return the vector of a note.

        Args:
            text: The note.
            terms: The phrases of evidence that stand in it.
            known: The tokens that some passage holds; others cannot score and are left out.
        """
        found = {token_id(TERM + term) for term in terms}
        covered = False
        for token, _ in occurrences(text):
            number = token_id(token)
            # The pieces of a word that the passages know as a whole would only count it again.
            if not is_piece(token):
                covered = known is not None and number in known
            elif covered:
                continue
            found.add(number)
        return _sparse(dict.fromkeys(found if known is None else found & set(known), 1.0))


def average_length(texts: Iterable[str]) -> float:
    """Return the mean number of tokens of passages, 1 if there is none."""
    lengths = [length(frequencies(text)) for text in texts]
    return round(sum(lengths) / len(lengths), 6) if lengths and sum(lengths) else 1.0
