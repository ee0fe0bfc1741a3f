"""What a task is, and how one is found by name.

Owns ``Task`` (fields, starting prompt, data, sizes of the splits), the door from a pydantic model
(``Task.from_model``) and the one resolver (``resolve``): a YAML file, a Python object or an entry
point. Leaves reading files to ``evals.taskfile`` and ``evals.data``, drawing splits to
``evals.splits``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from preceptor.core import plugins
from preceptor.core.errors import InputError, TaskError, boundary
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.record import Record, canonical
from preceptor.core.records import Example, Gold, Guide, Prompt
from preceptor.core.spelling import is_text, shown
from preceptor.evals.splits import SplitSpec

GROUP = "preceptor.tasks"
"""The entry-point group in which installed packages offer tasks."""

Mode = Literal["per_field", "joint"]


class Task(Record):
    """A question to ask of many notes, with the answers that are known.

    Attributes:
        name: What reports call it.
        fields: What is asked, in order.
        prompt: What the student is told before any teaching.
        mode: One call per field, or one for all.
        examples: The data, in order; ids are unique, gold values fit the fields.
        split: How large train, dev and test are.
        synthetic: Whether the notes are generated; shown wherever a score is.
        description: One or two sentences for ``tasks list``.
        source: Where the data come from, and under which licence.
        metric: What a run is judged by: one of ``evals.metrics.choice.NAMES`` or ``pkg.mod:function``;
            chosen from the data if empty.
        target: The value of the metric that would be good enough, if there is one.
        prefer: Whether recall may be given up for precision.
        template: How a text is put together from columns, if the data are read so; no part of the
            task's content.
    """

    name: str
    fields: tuple[FieldSpec, ...]
    prompt: Prompt = Prompt()
    mode: Mode = "per_field"
    examples: tuple[Example, ...] = ()
    split: SplitSpec = SplitSpec()
    synthetic: bool = False
    description: str = ""
    source: str = ""
    metric: str = ""
    target: float | None = Field(default=None, gt=0, le=1)
    prefer: Literal["balance", "precision"] = "balance"

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        """Leave out what a task does not say, so that tasks made before keep their fingerprints."""
        said: dict[str, JsonValue] = handler(self)
        usual: dict[str, JsonValue] = {"metric": "", "target": None, "prefer": "balance"}
        return {k: v for k, v in said.items() if k not in usual or v != usual[k]}

    template: str = Field(default="", exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        names = [f.name for f in self.fields]
        if not names or len(set(names)) != len(names):
            raise TaskError(f"task {self.name!r}: fields must be named, each once")
        for name in [*self.prompt.guides, *filter(None, [self.split.stratify_by])]:
            if name not in names:
                raise TaskError(
                    f"task {self.name!r}: {name!r} is no field", f"fields: {', '.join(names)}"
                )
        _check_examples(self)
        return self

    @classmethod
    def from_model(
        cls,
        model: type[BaseModel],
        examples: Iterable[Example],
        split: SplitSpec | None = None,
        name: str = "",
        mode: Mode = "per_field",
        metric: str = "",
    ) -> Task:
        """Return a task that fills in a pydantic model.

        ``Literal["a", "b"]`` is a label field (a default value is its default label), ``list[str]``
        an open list, ``list[Literal["a", "b"]]`` a closed one. A field's description becomes its
        meaning in the prompt, the model's docstring the task's description.

        Raises:
            TaskError: If the model has another kind of field.
        """
        infos = model.model_fields
        if not infos:
            raise TaskError(f"model {model.__name__!r} has no fields")
        meant = {key: info.description for key, info in infos.items() if info.description}
        return cls(
            name=name or model.__name__.lower(),
            fields=tuple(_field(model.__name__, key, info) for key, info in infos.items()),
            prompt=Prompt(guides={key: Guide(meaning=text) for key, text in meant.items()}),
            mode=mode,
            metric=metric,
            examples=tuple(examples),
            split=split or SplitSpec(),
            description=inspect.getdoc(model) or "",
        )


def _field(model: str, name: str, info: FieldInfo) -> FieldSpec:
    kind, args = get_origin(info.annotation), get_args(info.annotation)
    if kind is Literal and all(isinstance(a, str) for a in args) and len(args) > 1:
        default = info.default if isinstance(info.default, str) else ""
        return LabelField(name=name, values=args, default=default)
    if kind is list and args == (str,):
        return ListField(name=name, of=info.description or f"{name} items")
    values = get_args(args[0]) if kind is list and args and get_origin(args[0]) is Literal else ()
    if values and all(isinstance(v, str) for v in values):
        return ListField(name=name, of=info.description or f"{name} items", values=values)
    raise TaskError(
        f"model {model!r}, field {name!r}: {info.annotation!r} is no kind of field",
        'use Literal["a", "b"] for a label, list[str] or list[Literal["a", "b"]] for a list',
    )


def read_gold(fields: Iterable[FieldSpec], raw: Gold, where: str) -> Gold:
    """Return gold values in the fields' own form.

    Args:
        fields: The task's fields.
        raw: Values by field name; a missing one, or null, is a field that is not scored.
        where: File and line, or the example, for the error.

    Raises:
        TaskError: If a name is no field, or a value does not fit its field.
    """
    known = {f.name: f for f in fields}
    for name in raw:
        if name not in known:
            raise TaskError(f"{where}: {shown(name)} is no field", f"fields: {', '.join(known)}")
    gold: Gold = {}
    for name, value in raw.items():
        field = known[name]
        if value is None:
            continue
        try:
            gold[name] = field.read(_items(value) if isinstance(field, ListField) else value)
        except ValueError as cause:
            wrong = value if isinstance(field, LabelField) else field.unknown(value)
            what = "" if wrong is None else f" {shown(wrong)}"
            raise TaskError(f"{where}, field {name!r}:{what} does not fit", _allowed(field)) from cause
    return gold


def _items(value: JsonValue) -> JsonValue:
    """Return a gold list as texts: numbers are written out, nulls left out."""
    if not isinstance(value, list):
        return value
    numbers = (int, float)
    return [
        str(item) if isinstance(item, numbers) and not isinstance(item, bool) else item
        for item in value
        if item is not None
    ]


def _allowed(field: FieldSpec) -> str:
    if isinstance(field, LabelField):
        return f"allowed labels: {', '.join(field.values)}"
    if field.values:
        return f"a list of at most {field.max_items} of: {', '.join(field.values)}"
    return f"a list of at most {field.max_items} texts"


def _check_examples(task: Task) -> None:
    seen: set[str] = set()
    asked = [task.name, task.prompt.to_json(), *(field.to_json() for field in task.fields)]
    if not all(map(is_text, asked)):
        raise TaskError("the task: half a character, no valid Unicode", "repair its fields or prompt")
    for example in task.examples:
        where = f"task {task.name!r}, example {shown(example.id)}"
        if not all(map(is_text, (example.id, example.group, example.text, canonical(example.gold)))):
            raise TaskError(f"{where}: half a character, no valid Unicode", "repair that example")
        if example.id in seen:
            raise TaskError(f"{where}: this id occurs twice", "give every example its own id")
        seen.add(example.id)
        if not example.text.strip():
            raise TaskError(f"{where}: the text is empty", "leave the example out")
        if example.gold is not None and not _as_read(task.fields, example.gold, where):
            raise TaskError(
                f"{where}: a gold value is not written as its field has it",
                "labels as the field spells them; items as texts, each once, without outer blanks",
            )


def names() -> list[str]:
    """Return the names of the installed tasks, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def resolve(spec: str, data_dir: Path | None = None) -> Task:
    """Return the task that ``spec`` names.

    Args:
        spec: A path to a ``.yaml`` or ``.yml`` file, ``package.module:attribute`` (a Task, or a
            function that returns one), or the name of an installed task.
        data_dir: Folder of data sets, for tasks whose function takes ``data_dir``.

    Raises:
        TaskError: If there is no such task, or it is broken.
    """
    if spec.endswith((".yaml", ".yml")):
        from preceptor.evals import taskfile  # it imports this module

        return taskfile.load(Path(spec))
    if ":" in spec:
        return _called(spec, _imported(spec), data_dir)
    points = {point.name: point for point in entry_points(group=GROUP)}
    if spec not in points:
        raise TaskError(
            f"no task {spec!r}; installed: {', '.join(sorted(points)) or 'none'}",
            "a path to a .yaml file, pkg.mod:attr or an installed name; "
            "after changing entry points run: pip install -e .",
        )
    return _called(spec, _loaded(points[spec]), data_dir)


def _loaded(point: EntryPoint) -> object:
    with boundary(TaskError, f"task {point.name!r} ({point.value}) cannot be loaded"):
        return point.load()


def _imported(spec: str) -> object:
    try:
        return plugins.load_object(spec)
    except InputError as error:
        raise TaskError(f"task {spec!r} cannot be loaded: {error.message}", error.hint) from error


def _called(spec: str, found: object, data_dir: Path | None) -> Task:
    if callable(found) and not isinstance(found, Task):
        with boundary(TaskError, f"task {spec!r} failed", "run it on its own", quiet=True):
            takes = "data_dir" in inspect.signature(found).parameters
            found = found(data_dir=data_dir) if takes else found()
    if not isinstance(found, Task):
        raise TaskError(
            f"task {spec!r} is of type {type(found).__name__!r}", "a Task, or a function returning one"
        )
    return found


def _as_read(fields: Iterable[FieldSpec], gold: Gold, where: str) -> bool:
    """Return whether gold values stand as their fields have them; of closed lists the order is free."""
    read = read_gold(fields, gold, where)
    free = {f.name for f in fields if isinstance(f, ListField) and f.values}
    return all(
        read.get(name) == value
        or (name in free and isinstance(value, list) and _same(read[name], value))
        for name, value in gold.items()
    )


def _same(one: object, other: list[JsonValue]) -> bool:
    return isinstance(one, list) and sorted(map(str, one)) == sorted(map(str, other))
