"""Training rows: the calls of a recipe about train notes, each with the answer that is right.

Owns which calls become rows, how often, and what refuses a training before it starts. The text of a row
is the renderer's, hits of the recipe's index included (its retriever leaves out a note's own patient),
so that a student learns from what it will be asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, ValidationError

from preceptor.core.choices import choices
from preceptor.core.errors import InputError
from preceptor.core.fields import FieldSpec
from preceptor.core.files import compact
from preceptor.core.ports import Retriever
from preceptor.core.record import Record, digest
from preceptor.core.records import Example, Gold, Recipe, Scored
from preceptor.core.render import answer_text, calls

FEWEST_NOTES = 8
"""Fewer notes than this teach a model nothing but themselves."""

Forbidden = Callable[[Sequence[Example]], Collection[str]]
"""Tells which of these notes nearly repeat a note of dev or test, by id."""


class Row(Record):
    """One training row.

    Attributes:
        id: The note.
        group: Its patient.
        fields: What is asked.
        prompt: The messages, as chat turns.
        answer: The right answer's text.
        times: How often it is shown per epoch.
        choices: (start, end, place of the field) of the answer's characters that the schema does not
            force; the whole answer counts as one choice if there are none.
        worth: Per field, what a right answer is worth in the run's metric; all the same if empty.
    """

    id: str
    group: str
    fields: tuple[str, ...]
    prompt: tuple[dict[str, str], ...]
    answer: str
    times: int = Field(default=1, ge=1, le=10)
    choices: tuple[tuple[int, int, int], ...] = ()
    worth: tuple[float, ...] = ()


class Selection(Record):
    """Which calls become rows.

    Attributes:
        fields: The names of the fields to train; all if empty.
        weight_errors: How often a row is shown that the student answered wrongly.
        defaults: Per field, at most so many rows that say «nothing found» for each other row; rows
            that the student answered wrongly always stay. None keeps all. Only with one call per field.
        seed: Of the draw among the former.
    """

    fields: tuple[str, ...] = ()
    weight_errors: int = Field(default=1, ge=1, le=5)
    defaults: float | None = Field(default=None, ge=0.25, le=10)
    seed: int = 0


@dataclass(frozen=True)
class Guard:
    """What must not be learned from.

    Attributes:
        allowed: The ids of train; None if nobody said.
        forbidden: Which notes nearly repeat one of dev or test.
    """

    allowed: frozenset[str] | None = None
    forbidden: Forbidden | None = None

    def check(self, examples: Sequence[Example]) -> None:
        """Refuse notes that would leak dev or test into the weights.

        Raises:
            InputError: Naming how many, and the first of them.
        """
        if self.allowed is not None:
            outside = [e.id for e in examples if e.id not in self.allowed]
            if outside:
                raise InputError(
                    f"{len(outside)} notes to train on are not in train, {outside[0]!r} the first",
                    "train on train notes only",
                )
        if self.forbidden is not None:
            alike = sorted(self.forbidden(examples))
            if alike:
                raise InputError(
                    f"{len(alike)} train notes nearly repeat a dev or test note, first {alike[0]!r}",
                    "put near-duplicates into one patient's group: preceptor tasks check",
                )


def rows(
    recipe: Recipe,
    fields: Sequence[FieldSpec],
    examples: Sequence[Example],
    scored: Sequence[Scored] = (),
    selection: Selection | None = None,
    retriever: Retriever | None = None,
) -> list[Row]:
    """Return the rows that teach ``recipe`` the gold answers of ``examples``.

    Args:
        recipe: The student; its mode says whether a row asks one field or all.
        fields: The task's fields.
        examples: Notes; those without gold are left out, and with one call for all fields those
            whose gold leaves out a field.
        scored: The student's scores on them; what it got wrong counts as an error.
        selection: Which calls, how often.
        retriever: Of the recipe's index.

    Raises:
        InputError: If a field is unknown, or only some are asked for where one call asks all.
    """
    selection = selection or Selection()
    wanted = _wanted(recipe, fields, selection)
    marks = {s.example_id: s.fields for s in scored}
    labelled = [e for e in examples if e.gold is not None]
    found = retriever.hits(labelled, fields) if retriever is not None else [None] * len(labelled)
    made: list[tuple[Row, bool]] = []
    for example, hits in zip(labelled, found, strict=True):
        gold = example.gold or {}
        for call in calls(recipe, fields, example, hits):
            names = tuple(f.name for f in call.fields)
            if not set(names) <= wanted or any(name not in gold for name in names):
                continue
            wrong = any(marks.get(example.id, {}).get(name, 1.0) < 1.0 for name in names)
            row = Row(
                id=example.id,
                group=example.group,
                fields=names,
                prompt=tuple({"role": m.role, "content": m.content} for m in call.messages),
                answer=answer_text(gold, call.fields),
                times=selection.weight_errors if wrong else 1,
                choices=tuple(
                    (c.start, c.end, c.field) for c in choices(gold, call.fields, call.source)
                ),
            )
            made.append((row, wrong or not _is_default(gold, call.fields)))
    if selection.defaults is None or recipe.mode == "joint":
        return [row for row, _ in made]
    return _thinned(made, selection.defaults, selection.seed)


def valued(found: Sequence[Row], worth: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """Return rows that say what a right answer is worth in the run's metric.

    Args:
        found: The rows.
        worth: By note and field; a note that is not there (put together anew, labelled weakly) is worth
            nothing, which only matters where rows are left aside to tell when to stop.
    """
    return [
        row.model_copy(
            update={"worth": tuple(worth.get(row.id, {}).get(name, 0.0) for name in row.fields)}
        )
        for row in found
    ]


def _wanted(recipe: Recipe, fields: Sequence[FieldSpec], selection: Selection) -> set[str]:
    names = [f.name for f in fields]
    unknown = [name for name in selection.fields if name not in names]
    if unknown:
        raise InputError(f"no field {unknown[0]!r}", f"the fields are: {', '.join(names)}")
    wanted = set(selection.fields or names)
    if recipe.mode == "joint" and wanted != set(names):
        raise InputError(
            "this student is asked all fields in one call, so all are trained together",
            "leave 'fields' out",
        )
    return wanted


def _is_default(gold: Gold, fields: Sequence[FieldSpec]) -> bool:
    return all(gold[f.name] == (f.default if f.kind == "label" else []) for f in fields)


def _thinned(made: Sequence[tuple[Row, bool]], most: float, seed: int) -> list[Row]:
    """Return the rows without the defaults that are too many, per field, drawn by content."""
    kept = Counter(row.fields for row, stays in made if stays)
    spare: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row, stays in made:
        if not stays:
            spare[row.fields].append(row)
    drawn: set[tuple[str, tuple[str, ...]]] = set()
    for names, several in spare.items():
        order = sorted(several, key=lambda row: digest(f"{seed}:{row.id}:{row.fields}"))
        drawn |= {(row.id, names) for row in order[: max(1, round(most * kept[names]))]}
    return [row for row, stays in made if stays or (row.id, row.fields) in drawn]


def check(found: Sequence[Row]) -> None:
    """Refuse rows that cannot teach anything.

    Raises:
        InputError: If there are too few notes, or every field has one answer only.
    """
    notes = len({row.id for row in found})
    if notes < FEWEST_NOTES:
        raise InputError(
            f"{notes} labelled notes are too few to train on", f"at least {FEWEST_NOTES} are needed"
        )
    answers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in found:
        answers[row.fields].add(row.answer)
    if all(len(said) == 1 for said in answers.values()):
        raise InputError(
            "every field has one answer only in these notes: nothing can be learned from them",
            "train on more fields, or on more notes",
        )


def dump(found: Sequence[Row]) -> bytes:
    """Return the rows as lines of JSON, the same bytes for the same rows."""
    return b"".join(compact(row.model_dump(mode="json")) for row in found)


def load(data: bytes) -> Iterator[Row]:
    """Yield the rows that ``dump`` wrote.

    Raises:
        InputError: Naming the line that is no row.
    """
    for number, line in enumerate(data.splitlines(), 1):
        try:
            yield Row.from_json(line)
        except (ValidationError, ValueError) as cause:
            raise InputError(
                f"data.jsonl, line {number}: no training row", "export it again"
            ) from cause


def split(found: Sequence[Row], part: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (rows to train on, rows that tell when to stop), whole patients on either side.

    Nothing is held out where that would leave fewer than two patients aside, or too few notes.
    """
    groups = sorted({row.group for row in found}, key=lambda group: digest(f"{seed}:{group}"))
    aside = set(groups[: round(part * len(groups))])
    kept = [row for row in found if row.group not in aside]
    if len(aside) < 2 or len({row.id for row in kept}) < FEWEST_NOTES:
        return list(found), []
    return kept, [row for row in found if row.group in aside]
