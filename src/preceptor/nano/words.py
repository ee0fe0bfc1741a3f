"""Own where the generator's words come from: phrases, field names, made-up labels.

The lexicon is the tokenizer's whole-word tokens, the hand-written clinical terms, and pseudo-words
glued from subword pieces, so that every token is met in training.
"""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

from preceptor.nano import lexicon

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Lexicon:
    """Words in a fixed shuffled order, of which a level uses the first ``size``.

    Attributes:
        words: Whole words, most of them one token.
        pieces: Word-inner subwords, for pseudo-words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Read the words off a tokenizer's vocabulary."""
        vocabulary = sorted(tokenizer.get_vocab())
        starts = [t[1:] for t in vocabulary if re.fullmatch("Ġ[a-z]{3,}", t)]
        banned = lexicon.FUNCTION_WORDS
        whole = [w for w in starts if w not in banned]
        listed = (*lexicon.SYMPTOMS, *lexicon.SITES, *lexicon.QUALITIES, *lexicon.EVERYDAY)
        self.words = sorted({*whole, *listed} - banned)
        Random(0).shuffle(self.words)
        self.pieces = [t for t in vocabulary if re.fullmatch("[a-z]{2,5}", t)]
        self.starts = [w for w in starts if len(w) <= 5] + [w for w in self.pieces if len(w) > 2]
        self.size = len(self.words)
        self.long = 0.0

    def level(self, size: int, long: float) -> None:
        """Restrict to the first ``size`` words; ``long`` is the chance of a longer phrase."""
        self.size = min(size, len(self.words))
        self.long = long

    def word(self, r: Random) -> str:
        """Draw one word; in wide levels sometimes a clinical or made-up one."""
        if self.size >= 2000 and r.random() < 0.25:
            if r.random() < 0.5:
                return r.choice(lexicon.SYMPTOMS)
            return r.choice(self.starts) + "".join(r.choices(self.pieces, k=r.randint(1, 3)))
        return self.words[r.randrange(self.size)]

    def phrase(self, r: Random) -> str:
        """Draw a phrase of one to four words."""
        if r.random() >= self.long:
            return self.word(r)
        pick = r.random()
        if pick < 0.25:
            return f"{r.choice(lexicon.QUALITIES)} {r.choice(lexicon.SITES)}"
        if pick < 0.4:
            return r.choice(lexicon.TROUBLES).format(r.choice((self.word(r), *lexicon.SITES[:40])))
        if pick < 0.5:
            return f"{self.word(r)} of the {r.choice(lexicon.SITES)}"
        return " ".join(self.word(r) for _ in range(r.choice((2, 2, 2, 3))))

    def near(self, r: Random, phrase: str) -> str:
        """Return another phrase that shares a word with ``phrase`` where it has two or more."""
        parts = phrase.split()
        if len(parts) == 1:
            return self.phrase(r)
        parts[r.randrange(len(parts))] = self.word(r)
        return " ".join(parts)

    def labels(self, r: Random, n: int) -> list[str]:
        """Draw made-up label names."""
        if r.random() < 0.2:
            return r.choice((["A", "B", "C"], ["1", "0", "9"], ["Y", "N", "U"], ["0", "1", "2"]))[:n]
        pool = lexicon.LABEL_WORDS if r.random() < 0.4 else self.words
        return r.sample(pool, n)

    def field_name(self, r: Random, phrase: str) -> str:
        """Write a phrase the way users name fields."""
        pick = r.random()
        clean = phrase.replace("'", "")
        if pick < 0.65:
            return clean.replace(" ", "_")
        if pick < 0.85:
            return clean
        return clean.capitalize() if pick < 0.95 else clean.upper()[:1] + clean[1:].replace(" ", "")
