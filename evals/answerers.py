"""What the answerers without a language model do, in a few words for a reader of a report.

Owns the words only; what they do is in ``evals.baselines``.
"""

from __future__ import annotations

_WHAT = {
    "majority": "always the commonest answer",
    "always-positive": "always the commonest finding",
    "commonest": "always the commonest items",
    "keyword": "field's name in the note",
    "context": "field's name, heeding negation",
    "keyword+mined": "phrases mined from train",
    "context+mined": "mined phrases, heeding negation",
    "dictionary": "train's items in the note",
    "dictionary+context": "train's items, heeding negation",
    "dictionary+precise": "train's reliable items",
    "dictionary+precise+context": "reliable items, heeding negation",
    "tfidf": "linear classifier, word counts",
    "embedding": "linear classifier, embeddings",
}


def what(name: str) -> str:
    """Return what an answerer does; an empty text for a name that is not known."""
    return _WHAT.get(name, "")
