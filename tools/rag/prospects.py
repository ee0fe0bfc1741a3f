"""What an index of worked examples would bring, estimated from counts before a student is asked.

Owns the estimate: for every shown note and field, which value do the examples of *other* patients speak
for (a vote, the k-th example weighing 1/k)? Only examples that share a phrase of evidence with the note
vote. An answer that is wrong today and that the vote would get right counts ``FIX``, one that is right
and that a confident vote would get wrong costs ``BREAK``. The two numbers are guesses of how often a
small student follows its examples; what came of a move is measured, not taken from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.hits import shrink
from preceptor.core.ports import Evidence
from preceptor.core.prospect import Prospect
from preceptor.core.record import canonical
from preceptor.core.records import IndexRef, Shot
from preceptor.core.render import Hits, shot_line
from preceptor.tools.rag.args import IndexExamplesArgs
from preceptor.tools.rag.artefact import Index
from preceptor.tools.rag.embed import Embedder
from preceptor.tools.rag.phrases import phrases_of
from preceptor.tools.rag.retriever import QdrantRetriever

TOOL = "index_examples"

FIX, BREAK = 0.5, 0.25
CONFIDENT = 0.8
AGAIN = 0.3
"""A student that sees examples already gets less from other ones."""

SIZES = (1, 2, 4, 8)
CHARS_PER_TOKEN = 4


@dataclass
class _Count:
    """What the votes say about the answers of today."""

    wrong: int = 0
    fixed: int = 0
    right: int = 0
    broken: int = 0
    gain: float = 0.0
    chars: int = 0


def prospects(
    build: Callable[[IndexExamplesArgs], Index], evidence: Evidence, embedder: Embedder | None
) -> list[Prospect]:
    """Return calls of the move that are worth considering, best first.

    Args:
        build: Builds the index that a call of the move asks for.
        evidence: The shown notes, the student's answers, and all of train.
        embedder: Where there is one, mode ``hybrid`` is estimated too.
    """
    out: list[Prospect] = []
    for mode in ("sparse", "hybrid") if embedder else ("sparse",):
        args = IndexExamplesArgs.model_validate({"mode": mode, "k": SIZES[-1]})
        try:
            index = build(args)
        except InputError:
            return []
        settings = args.settings().model_dump(mode="json")
        ref = IndexRef(digest=index.digest, k=args.k, settings=settings)
        retriever = QdrantRetriever(index, ref, embedder)
        found = retriever.hits(evidence.examples, evidence.fields)
        retriever.close()
        terms: dict[str, set[str]] = defaultdict(set)
        for passage in index.passages:
            terms[passage.field] |= set(passage.terms)
        for k in SIZES:
            asked: dict[str, JsonValue] = {"mode": mode, "k": k}
            count = _counted(evidence, found, terms, k)
            count.gain *= AGAIN if evidence.recipe.index else 1.0
            out.append(_prospect(asked, count, evidence))
    return sorted(out, key=lambda p: (-p.gain, p.tokens, canonical(p.args)))


def _counted(
    evidence: Evidence, found: Sequence[Hits], terms: Mapping[str, set[str]], k: int
) -> _Count:
    count = _Count()
    each = zip(evidence.examples, evidence.scored, found, strict=True)
    for at, (note, scored, all_hits) in enumerate(each):
        hits = shrink(all_hits, k)
        said = set(phrases_of(note.text))
        for spec in evidence.fields:
            shots = hits.get(spec.name, ())
            count.chars += sum(len(shot_line(shot, [spec])) + 1 for shot in shots)
            if spec.name not in scored.fields or not shots:
                continue
            score = scored.fields[spec.name]
            vote, share = _vote([s for s in shots if _shares(s, said & terms[spec.name])], spec.name)
            right = vote == canonical((note.gold or {}).get(spec.name))
            count.wrong += score < 1
            count.right += score >= 1
            if vote and right and score < 1:
                count.fixed += 1
                count.gain += FIX * evidence.worth_of(at, spec)
            elif vote and not right and share >= CONFIDENT and score > 0:
                count.broken += score >= 1
                part = 1.0 if score >= 1 else score / (1 - score)  # of a list: what is right of it
                count.gain -= BREAK * evidence.worth_of(at, spec) * part
    return count


def _shares(shot: Shot, terms: set[str]) -> bool:
    return not terms.isdisjoint(phrases_of(shot.text))


def _vote(shots: Sequence[Shot], name: str) -> tuple[str, float]:
    """Return the value that the examples speak for (its canonical text), and its share."""
    weights: dict[str, float] = defaultdict(float)
    for rank, shot in enumerate(shots, 1):
        weights[canonical(shot.answer[name])] += 1 / rank
    if not weights:
        return "", 0.0
    best = max(sorted(weights), key=lambda value: weights[value])
    return best, weights[best] / sum(weights.values())


def _prospect(args: dict[str, JsonValue], count: _Count, evidence: Evidence) -> Prospect:
    notes = max(len(evidence.examples), 1)
    why = (
        f"examples of other patients speak for the right label in {count.fixed} of {count.wrong} wrong "
        f"answers where there are any, against it in {count.broken} of {count.right} right ones"
    )
    tokens = round(count.chars / notes / CHARS_PER_TOKEN)
    return Prospect(tool=TOOL, args=args, gain=round(count.gain, 6), tokens=tokens, why=why)
