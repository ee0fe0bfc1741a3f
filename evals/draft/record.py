"""What was guessed about labelled notes, before a person corrects it."""

from __future__ import annotations

from pydantic import Field

from preceptor.core.record import Record


class Draft(Record):
    """What was guessed.

    Attributes:
        id: The column of ids; None if no column has one per row.
        group: The column of patients, if there seems to be one.
        text: The column of notes.
        split: The column that says train, dev or test, if there is one.
        gold: The column that holds the values of all fields, if there is one.
        labels: The labels of each label field, most frequent first.
        defaults: The label for «nothing found» of each.
        lists: The list fields.
        options: The choices of a list field that has a closed set of them.
        copied: The list fields whose items are pieces of the notes, word for word.
        most: The most items of a list field, where that is more than a field takes unasked.
        columns: The column of a field, where its name cannot be that of a field.
        unused: Columns that are none of these.
        remarks: What is odd, one line each, the worst first.
        delimiter: What stands between the cells of a CSV file, if it is no comma.
        items: What stands between the items of lists that are written as texts, if there are such.
        owners: How many values the group's column has, in words.
        tool: The annotation tool whose export this is, if it is one.
    """

    id: str | None
    group: str | None
    text: str
    split: str | None = None
    gold: str | None = None
    labels: dict[str, tuple[str, ...]]
    defaults: dict[str, str]
    lists: tuple[str, ...]
    options: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    copied: tuple[str, ...] = ()
    most: dict[str, int] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    unused: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    delimiter: str | None = None
    items: str | None = None
    owners: str = ""
    tool: str | None = None
