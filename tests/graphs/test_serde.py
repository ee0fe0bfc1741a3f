"""A checkpoint holds plain data and the question to a person; what else stands in one is refused."""

from __future__ import annotations

import datetime
import re
from contextlib import suppress
from pathlib import Path
from random import Random

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt, Send

from preceptor.core.errors import StoreError
from preceptor.graphs.serde import PlainSerde

PLAIN = [
    None, True, 3, 0.5, "text", "ä\udc80"[:1], [1, [2]], {"a": {"b": [1, None]}}, {1: "a"},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_comes_back(value: object) -> None:
    serde = PlainSerde()
    assert serde.loads_typed(serde.dumps_typed(value)) == value


def test_the_question_to_a_person_comes_back() -> None:
    serde, asked = PlainSerde(), (Interrupt(value={"round": 1, "proposal": "ab12"}, id="x"),)
    assert serde.loads_typed(serde.dumps_typed(asked)) == [*asked]


@pytest.mark.parametrize(
    "value",
    [
        Path("x"),
        re.compile("a"),
        {1, 2},
        datetime.date(2020, 1, 1),
        Send("act", {}),
        Command(goto="act"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_langgraph_calls_safe_is_not_plain_data(value: object) -> None:
    packed = JsonPlusSerializer().dumps_typed({"state": [value]})
    with pytest.raises(StoreError, match="not plain data"):
        PlainSerde().loads_typed(packed)


@pytest.mark.parametrize("code", range(10))
def test_no_extension_is_anything_but_the_question(code: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for module, name, given in (
        ("os", "system", f"touch {mark}"),
        ("os", "system", [f"touch {mark}"]),
        ("subprocess", "Popen", {"args": f"touch {mark}", "shell": True}),
        ("pathlib", "Path", str(mark)),
    ):
        for inner in ([module, name, given], [module, name, given, "touch"]):
            made = ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(inner)))
            with pytest.raises(StoreError):
                PlainSerde().loads_typed(("msgpack", made))
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["json", "pickle", "bytes", "bytearray", "", "x\x1b[2J", "y" * 5000])
def test_other_kinds_of_rows_are_refused_without_being_quoted_at_length(kind: str) -> None:
    with pytest.raises(StoreError) as caught:
        PlainSerde().loads_typed((kind, b"{}"))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_damaged_bytes_are_one_line() -> None:
    whole = ormsgpack.packb({"a": [1, 2, {"b": "c" * 40}], "d": 2.5})
    chance = Random(0)
    for _ in range(300):
        torn = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(4)):
            torn[chance.randrange(len(torn)) if torn else 0 :] = bytes([chance.randrange(256)])
        with suppress(StoreError):
            PlainSerde().loads_typed(("msgpack", bytes(torn)))
    with pytest.raises(StoreError, match="damaged"):
        PlainSerde().loads_typed(("msgpack", b"\x91" * 5000 + b"\xc0"))
