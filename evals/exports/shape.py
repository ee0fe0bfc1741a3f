"""Which fields the answers of an export have, and of which kind each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preceptor.evals.cells import field_names
from preceptor.evals.exports.record import Answer


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answers hold: which fields, and of which kind.

    Attributes:
        single: Fields of one choice.
        multiple: Fields of several.
        texts: Fields of free texts.
        kinds: Types of spans.
        names: What a field is called in the task, by what it is and its name in the export.
    """

    single: tuple[str, ...]
    multiple: tuple[str, ...]
    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    names: Mapping[tuple[str, str], str]

    def value(self, answer: Answer) -> dict[str, tuple[str, ...]]:
        """Return an answer's items by the name of the field; label fields have one item."""
        out = {f: answer.choices[f] for f in self.single if answer.choices.get(f)}
        out |= {f: answer.choices[f] for f in self.multiple if f in answer.choices}
        out = {self.names["choice", f]: items for f, items in out.items()}
        out |= {self.names["text", f]: answer.texts[f] for f in self.texts if f in answer.texts}
        if answer.spans is not None:
            ordered = sorted(answer.spans, key=lambda s: s.pieces)
            for kind in self.kinds:
                items = dict.fromkeys(s.text for s in ordered if s.kind == kind)
                out[self.names["span", kind]] = tuple(items)
        return out


def shape_of(done: Sequence[Answer], wide: frozenset[str]) -> Shape:
    """Return the fields of answers; those in ``wide`` may have several choices, whatever is seen."""
    choices = list(dict.fromkeys(f for a in done for f in a.choices))
    several = {f for a in done for f, items in a.choices.items() if len(items) > 1} | wide
    texts = list(dict.fromkeys(f for a in done for f in a.texts))
    kinds = sorted({s.kind for a in done for s in a.spans or ()})
    keys = [*(("choice", f) for f in choices), *(("text", f) for f in texts)]
    keys += [("span", k) for k in kinds]
    raw: dict[tuple[str, str], str] = {}
    for key in keys:
        name = key[1]
        while name in raw.values():
            name += "_"
        raw[key] = name
    clean = field_names(list(raw.values()))
    return Shape(
        single=tuple(f for f in choices if f not in several),
        multiple=tuple(f for f in choices if f in several),
        texts=tuple(texts),
        kinds=tuple(kinds),
        names={key: clean[name] for key, name in raw.items()},
    )
