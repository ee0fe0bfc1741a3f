"""The move ``index_examples``: build an index of worked examples and let the student see its hits.

Owns what of the arguments is refused, and the report to the teacher. Which sentences become
passages is ``rag.passages``, what a call of this move would bring is ``rag.prospects``. The index may
hold every labelled train note, since retrieval leaves out a note's own patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec, LabelField
from preceptor.core.ports import Evidence, ToolResult
from preceptor.core.prospect import Prospect
from preceptor.core.records import Example, IndexRef, Recipe
from preceptor.core.render import calls
from preceptor.tools.guard import CopyGuard
from preceptor.tools.patches import find_sentence, one_line
from preceptor.tools.rag.args import IndexExamplesArgs, Pair, Snippet
from preceptor.tools.rag.artefact import Index, IndexConfig, Passage, check_ids
from preceptor.tools.rag.bm25 import average_length
from preceptor.tools.rag.embed import Embedder, Remembering
from preceptor.tools.rag.passages import cut, from_notes
from preceptor.tools.rag.phrases import phrases_of, words_of
from preceptor.tools.rag.prospects import TOOL, prospects
from preceptor.tools.rag.retriever import QdrantRetriever

CHARS_PER_TOKEN = 4
MAX_SNIPPET_CHARS = 240
SAMPLE = 24
"""How many notes the added tokens are estimated on."""


class IndexExamples:
    """Build an index of worked examples.

    Args:
        embedder: What makes dense vectors; without one only words are compared.
    """

    name = TOOL
    description = (
        "Give the student worked examples that are retrieved for each note: sentences (or sections, or "
        "whole notes) of other patients' train notes that carry the evidence for a field, with the "
        "label. Add pairs (a sentence of a train note, by number or exact words, and why it has its "
        "label) and snippets (a made-up statement with its label; it must not copy a note). The note's "
        "own patient is always left out. show: sentence, reason (with why), label (the phrase only), "
        "note. Building the same index twice is free; a new one replaces the old."
    )
    changing = True
    args = IndexExamplesArgs

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = Remembering(embedder) if embedder else None

    def run(self, args: IndexExamplesArgs, evidence: Evidence) -> ToolResult:
        """Return the recipe with the index; no recipe if it has the same already.

        Raises:
            InputError: If an argument cannot be followed; the message says why and what would do.
            StudentError: If the embedder's server went away.
        """
        index = self.build(args, evidence)
        settings = args.settings().model_dump(mode="json")
        ref = IndexRef(digest=index.digest, k=args.k, settings=settings)
        if ref == evidence.recipe.index:
            return ToolResult("Nothing changes: the recipe has this index with these settings already.")
        recipe = evidence.recipe.model_copy(update={"index": ref})
        tokens, shown = self._cost(index, recipe, evidence)
        return ToolResult(
            _report(index, args, tokens, shown),
            recipe=recipe,
            added_tokens=tokens,
            artefacts={index.digest: index.data},
        )

    def build(self, args: IndexExamplesArgs, evidence: Evidence) -> Index:
        """Return the index that a call asks for.

        Raises:
            InputError: As ``run``.
        """
        fields = _fields(args.fields, evidence)
        notes = _notes(args.include, evidence)
        dense = self._dense(args)
        # Evidence is learnt from all labelled notes, also where only some of them are indexed.
        passages = from_notes(_notes("all", evidence), fields, args.granularity, _hints(evidence))
        included = {e.id for e in notes}
        passages = [p for p in passages if p.example_id in included]
        passages = _with_pairs(passages, args.pairs, evidence)
        passages += _snippets(args.snippets, evidence)
        if not passages:
            raise InputError(
                "the index would be empty: no sentence of these notes stands out for these fields",
                "take granularity note, more notes, or give pairs or snippets",
            )
        vectors = tuple(dense.embed([p.text for p in passages])) if dense else ()
        sources = {p.example_id for p in passages}
        config = IndexConfig(
            granularity=args.granularity,
            average=average_length(p.text for p in passages),
            embedder=dense.spec if dense else "",
            embedder_digest=dense.digest if dense else "",
            dim=len(vectors[0]) if vectors else 0,
            fields=tuple(sorted({p.field for p in passages})),
        )
        shown = {e.id: cut(e.text, "note") for e in notes if args.show == "note" and e.id in sources}
        index = Index(config, tuple(passages), vectors, shown)
        check_ids(index, {e.id for e in (*evidence.train, *evidence.examples)})
        return index

    def prospects(self, evidence: Evidence) -> Sequence[Prospect]:
        """Return calls with their estimated gain, best first; no student is asked."""
        return prospects(lambda args: self.build(args, evidence), evidence, self._embedder)

    def _dense(self, args: IndexExamplesArgs) -> Embedder | None:
        have = self._embedder.spec if self._embedder else ""
        if args.embedder and args.embedder != have:
            known = f"it is {have!r}" if have else "none is configured: use mode sparse"
            raise InputError(f"embedder {args.embedder!r} is not the configured one", known)
        if args.mode in ("dense", "hybrid") or args.embedder:
            if self._embedder is None:
                raise InputError(f"mode {args.mode!r} needs an embedder", "use mode sparse")
            return self._embedder
        if args.diversity:
            raise InputError("diversity needs dense vectors", "use mode dense or hybrid, or 0")
        return None

    def _cost(self, index: Index, recipe: Recipe, evidence: Evidence) -> tuple[int, float]:
        """Return the estimated change of prompt tokens per note, and hits per note."""
        assert recipe.index is not None
        step = max(1, len(evidence.examples) // SAMPLE)
        notes = evidence.examples[::step][:SAMPLE]
        if not notes:
            return 0, 0.0
        retriever = QdrantRetriever(index, recipe.index, self._embedder)
        found = retriever.hits(notes, evidence.fields)
        retriever.close()
        chars = 0
        for note, hits in zip(notes, found, strict=True):
            with_hits = calls(recipe, evidence.fields, note, hits)
            without = calls(recipe, evidence.fields, note)
            chars += sum(len(m.content) for c in with_hits for m in c.messages)
            chars -= sum(len(m.content) for c in without for m in c.messages)
        shown = sum(len(shots) for hits in found for shots in hits.values()) / len(notes)
        return round(chars / len(notes) / CHARS_PER_TOKEN), shown


def _report(index: Index, args: IndexExamplesArgs, tokens: int, shown: float) -> str:
    counts = Counter(p.key for p in index.passages)
    rows = [f"  {name.replace('|', ': ')} {count}" for name, count in sorted(counts.items())]
    more = [f"  and {len(rows) - 60} more"] if len(rows) > 60 else []
    patients = len({p.group for p in index.passages if p.group})
    head = (
        f"Index {index.digest}: {len(index.passages)} examples of {patients} patients, "
        f"{args.mode}, up to {args.k} per field. "
        f"On average a note gets {shown:.1f} examples, about {tokens:+d} prompt tokens."
    )
    return "\n".join([head, *rows[:60], *more])


def _fields(names: Sequence[str], evidence: Evidence) -> list[FieldSpec]:
    known = {f.name: f for f in evidence.fields}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"no field {unknown[0]!r}", f"the fields are: {', '.join(known)}")
    return [f for f in evidence.fields if not names or f.name in names]


def _notes(include: Literal["all"] | tuple[str, ...], evidence: Evidence) -> list[Example]:
    labelled = {e.id: e for e in (evidence.train or evidence.examples) if e.gold}
    if not labelled:
        raise InputError("no train note has a gold answer", "label some notes first")
    if include == "all":
        return list(labelled.values())
    unknown = [name for name in include if name not in labelled]
    if unknown:
        raise InputError(
            f"no labelled train note {unknown[0]!r}", "only train notes can be indexed: take their ids"
        )
    return [labelled[name] for name in dict.fromkeys(include)]


def _hints(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    return {f.name: evidence.recipe.prompt.guide(f.name).look_for for f in evidence.fields}


def _with_pairs(passages: list[Passage], pairs: Sequence[Pair], evidence: Evidence) -> list[Passage]:
    """Return the passages with the teacher's reasons; a sentence that is no passage yet becomes one."""
    guard = CopyGuard(evidence.examples)
    notes = {e.id: e for e in evidence.examples}
    names = {f.name for f in evidence.fields}
    terms = {f: sorted({t for p in passages if p.field == f for t in p.terms}) for f in names}
    out = {(p.example_id, p.field, p.text): p for p in passages}
    for number, pair in enumerate(pairs, 1):
        note = notes.get(pair.example_id)
        if note is None or pair.field not in (note.gold or {}):
            raise InputError(
                f"pair {number}: no shown train note {pair.example_id!r} with a gold value for "
                f"{pair.field!r}",
                "take an id from the brief or a look",
            )
        reason = one_line(pair.reason, 120, f"the reason of pair {number}")
        guard.check_text(reason, f"the reason of pair {number}")
        text = find_sentence(note.text, pair.sentence)
        held = set(phrases_of(text))
        key = (note.id, pair.field, text)
        found = out.get(key) or Passage(
            example_id=note.id,
            group=note.group,
            field=pair.field,
            text=text,
            answer=(note.gold or {})[pair.field],
            terms=tuple(t for t in terms[pair.field] if t in held)[:3],
        )
        out[key] = found.model_copy(update={"reason": reason, "source": "pair"})
    return list(out.values())


def _snippets(snippets: Sequence[Snippet], evidence: Evidence) -> list[Passage]:
    guard = CopyGuard(evidence.train or evidence.examples)
    known = {f.name: f for f in evidence.fields}
    out: dict[str, Passage] = {}
    for number, snippet in enumerate(snippets, 1):
        what = f"snippet {number}"
        spec = known.get(snippet.field)
        if spec is None:
            raise InputError(
                f"{what}: no field {snippet.field!r}", f"the fields are: {', '.join(known)}"
            )
        text = one_line(snippet.text, MAX_SNIPPET_CHARS, what)
        reason = one_line(snippet.reason, 120, f"the reason of {what}") if snippet.reason else ""
        guard.check_text(text, what)
        guard.check_text(reason, f"the reason of {what}")
        names = _names(spec, evidence)
        passage = Passage(
            field=spec.name,
            text=text,
            answer=_value(spec, snippet.label, what),
            reason=reason,
            source="snippet",
            terms=tuple(sorted(names.intersection(phrases_of(text))))[:3],
        )
        out[passage.fingerprint] = passage
    return [out[key] for key in sorted(out)]


def _names(spec: FieldSpec, evidence: Evidence) -> set[str]:
    said = [spec.name.replace("_", " "), *evidence.recipe.prompt.guide(spec.name).look_for]
    return {" ".join(words_of(text)) for text in said}


def _value(spec: FieldSpec, label: str, what: str) -> JsonValue:
    try:
        return spec.read(label if isinstance(spec, LabelField) else [*label.split(";")])
    except ValueError:
        if isinstance(spec, LabelField):
            why = f"{label!r} is no label of {spec.name!r}", f"one of: {', '.join(spec.values)}"
        elif spec.unknown([*label.split(";")]) is not None:
            allowed = ", ".join(spec.values)
            why = f"{label!r} is no list for {spec.name!r}", f"some of, parted by ';': {allowed}"
        else:
            why = f"{spec.name!r} takes at most {spec.max_items} items", "give fewer"
        raise InputError(f"{what}: {why[0]}", why[1]) from None
