"""The YAML task file: its schema, and how it becomes a ``Task``.

Owns the keys of the file and the one-line errors about them. Leaves the data to ``evals.data``.

    # yaml-language-server: $schema=preceptor-task.schema.json
    name: cough
    instruction: Read the note and fill in the field. Answer in JSON.
    fields:
      - name: cough
        kind: label
        values: [present, absent, unknown]
        meanings: {unknown: not mentioned}
        look_for: [tussis]
    data:
      path: notes.jsonl
      columns: {id: note_id, text: text, group: patient}
    split: {train: 0.4, dev: 0.3, test: 0.3}
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from preceptor.core import permission
from preceptor.core.errors import TaskError
from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.record import Record
from preceptor.core.records import Guide, Prompt
from preceptor.core.spelling import is_text, nfc, shown
from preceptor.evals import data
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Mode, Task

SCHEMA_FILE = "preceptor-task.schema.json"
HINT = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
"""The first line of a task file, for editors that know the YAML language server."""


class FieldEntry(Record):
    """One field of a task file: what ``FieldSpec`` takes, and the field's guide.

    Attributes:
        name: The field.
        kind: ``label`` or ``list``.
        values: The labels (label); what may stand in the list, if that is known (list).
        meanings: What a label or value stands for.
        default: The label for «nothing found»; the last one if not given (label).
        ordered: Whether the labels form a scale (label).
        of: What the items are (list).
        max_items: The most items (list).
        copied: Whether every item is a piece of the note, word for word (list).
        weight: The field's weight in a note's score.
        meaning: A definition, for the prompt.
        look_for: Phrases that count as a mention, for the prompt.
        rules: Rules of this field, for the prompt.
    """

    name: str
    kind: Literal["label", "list"] = "label"
    values: tuple[str, ...] | None = None
    meanings: dict[str, str] | None = None
    default: str | None = None
    ordered: bool | None = None
    of: str | None = None
    max_items: int | None = None
    copied: bool | None = None
    weight: float = Field(default=1.0, gt=0)
    meaning: str = ""
    look_for: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    @field_validator("values", "meanings", "default", mode="before")
    @classmethod
    def _unquoted(cls, said: object) -> object:
        """Take labels that YAML reads as numbers or truth values for the texts that they are."""
        if isinstance(said, dict):
            return {_label(name): meaning for name, meaning in said.items()}
        return [_label(name) for name in said] if isinstance(said, list) else _label(said)

    def spec(self) -> FieldSpec:
        """Return the field as the student's schema has it."""
        given = self.model_dump(exclude_none=True, exclude={"meaning", "look_for", "rules"})
        kind = LabelField if self.kind == "label" else ListField
        return kind.model_validate(given)

    def guide(self) -> Guide:
        """Return the field's guide."""
        return Guide(meaning=self.meaning, look_for=self.look_for, rules=self.rules)


def _label(said: object) -> object:
    if isinstance(said, bool):
        return "true" if said else "false"
    return str(said) if isinstance(said, int) else said


class TaskFile(Record):
    """A task file.

    Attributes:
        name: What reports call the task; the file's name if not given.
        description: One or two sentences.
        instruction: The opening of the system message.
        rules: Rules for all fields.
        mode: One call per field, or one for all.
        fields: What is asked.
        data: Where the notes are.
        split: How large the parts are.
        synthetic: Whether the notes are invented.
        source: Where the data come from.
        metric: What a run is judged by; chosen from the data if not given.
        target: The value of the metric that would be good enough.
        prefer: ``precision`` where recall may be given up for it.
    """

    name: str = ""
    description: str = ""
    instruction: str = Prompt().instruction
    rules: tuple[str, ...] = ()
    mode: Mode = "per_field"
    fields: tuple[FieldEntry, ...] = Field(min_length=1)
    data: data.Source
    split: SplitSpec = SplitSpec()
    synthetic: bool = False
    source: str = ""
    metric: str = ""
    target: float | None = Field(default=None, gt=0, le=1)
    prefer: Literal["balance", "precision"] = "balance"


def schema_json() -> str:
    """Return the JSON Schema of a task file, for editors."""
    return json.dumps(TaskFile.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Task:
    """Read a task file and its data.

    Raises:
        TaskError: One line with file and line or key, for anything that is wrong.
    """
    entry = read(path)
    also = "or take the line out of it and say --metric"
    permission.require([entry.metric], f"{path}: metric", also, TaskError)
    specs = tuple(_spec(path, field) for field in entry.fields)
    guides = {f.name: f.guide() for f in entry.fields if f.guide() != Guide()}
    return Task(
        name=entry.name or path.stem,
        fields=specs,
        prompt=Prompt(instruction=entry.instruction, rules=entry.rules, guides=guides),
        mode=entry.mode,
        examples=data.load(entry.data, specs, path.parent),
        split=entry.split,
        synthetic=entry.synthetic,
        description=entry.description,
        source=entry.source,
        metric=entry.metric,
        target=entry.target,
        prefer=entry.prefer,
        template=entry.data.columns.text if data.is_template(entry.data.columns.text) else "",
    )


def read(path: Path) -> TaskFile:
    """Read a task file without its data.

    Raises:
        TaskError: If it is missing, no YAML, or has an unknown or wrong key.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError as cause:
        raise TaskError(f"{path}: no such file", "give the path of a task file") from cause
    except OSError as cause:
        raise TaskError(f"{path}: cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise TaskError(f"{path}: not UTF-8 at byte {cause.start}", "save it as UTF-8") from cause
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(cause, "problem", None) or "cannot be read"
        raise TaskError(f"{path}{line}: broken YAML: {what}", "check indentation and quotes") from cause
    except (ValueError, OverflowError, RecursionError) as cause:  # 2024-13-45, a number of 5,000 digits
        raise TaskError(
            f"{path}: a date, a number or a nesting that cannot be read",
            "put dates and codes in quotes",
        ) from cause
    _check_size(found, path)
    if not isinstance(found, dict):
        raise TaskError(f"{path}: not a task file", "write 'key: value' lines; see docs/tasks.md")
    try:
        return TaskFile.model_validate(_composed(found, path))
    except ValidationError as cause:
        raise _one_line(path, cause) from cause


def _check_size(found: object, path: Path) -> None:
    """Refuse a file whose aliases stand for more, or deeper, than anybody writes.

    Raises:
        TaskError: If it does.
    """
    left, size = [(found, 0)], 0
    while left:
        one, depth = left.pop()
        size += 1
        if size > MOST_VALUES or depth > DEEPEST:
            raise TaskError(f"{path}: too many values, or nested too deep", "write it without aliases")
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        left.extend((each, depth + 1) for each in inner)


def _composed(found: object, path: Path, key: str = "") -> object:
    """Return what was read with its texts composed (NFC), but for the path of the data."""
    if isinstance(found, dict):
        names = {n: _composed(n, path, key) for n in found}
        return {names[n]: _composed(v, path, f"{key}.{names[n]}") for n, v in found.items()}
    if isinstance(found, list):
        return [_composed(item, path, key) for item in found]
    if not isinstance(found, str):
        return found
    whole = found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # JSON's pairs
    if not is_text(found) and whole.count("\ufffd") > found.count("\ufffd"):
        where = key.strip(".") or "a key"
        raise TaskError(f"{path}: {where}: half a character, no valid Unicode", "repair it")
    return whole if key == ".data.path" else nfc(whole)


MOST_VALUES, DEEPEST = 200_000, 50
"""No task file has more values than this, or values nested deeper."""


class _Loader(yaml.SafeLoader):
    """Safe YAML where a key may stand once, and ``yes``, ``no``, ``on`` and ``off`` stay labels."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, object]:
    seen: set[object] = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if not isinstance(name, str | int | float) or name in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key {shown(name)} stands twice or is no text",
                problem_mark=key.start_mark,
            )
        seen.add(name)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _one_line(path: Path, cause: ValidationError) -> TaskError:
    first = cause.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        known = _known(first["loc"][:-1])
        return TaskError(f"{path}: unknown key {key!r}", f"known here: {', '.join(known)}")
    if first["type"] == "string_type" and first["loc"] == ("data", "columns", "text"):
        return TaskError(f"{path}: {key}: no text", 'write a template in quotes: "{title}\\n{body}"')
    if first["type"] == "missing":
        return TaskError(f"{path}: {key!r} is missing", "add it")
    return TaskError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}", "correct it")


def _known(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known at a place of the file."""
    models: dict[tuple[str, ...], type[Record]] = {
        (): TaskFile,
        ("fields",): FieldEntry,
        ("data",): data.Source,
        ("data", "columns"): data.Columns,
        ("split",): SplitSpec,
    }
    return list(models[tuple(p for p in place if isinstance(p, str))].model_fields)


def _spec(path: Path, entry: FieldEntry) -> FieldSpec:
    try:
        return entry.spec()
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_input=False)[0]
        if first["type"] == "extra_forbidden":
            key = str(first["loc"][-1])
            raise TaskError(
                f"{path}: field {entry.name!r}: {key!r} does not go with kind {entry.kind!r}", "drop it"
            ) from cause
        what = first["msg"].removeprefix("Value error, ").removeprefix(f"field {entry.name!r}: ")
        where = ".".join(str(part) for part in first["loc"])
        raise TaskError(
            f"{path}: field {entry.name!r}{f', {where}' if where else ''}: {what}"
        ) from cause
