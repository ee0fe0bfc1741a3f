"""An index is one artefact: equal content, equal bytes; a broken one says so in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.core.errors import InputError, StoreError
from preceptor.core.runs import Artefacts
from preceptor.tools.rag.artefact import Index, check_ids, read
from tests.tools.rag.built import NOTES, built, index_of, passage

INDEX = replace(built(), notes={"n1": "Whole.", "n0": "Note\n\u2028 with a strange break."})


def test_there_and_back() -> None:
    assert read(INDEX.data) == INDEX
    assert read(built(embedder=None).data) == built(embedder=None)


def test_the_name_is_the_stores(tmp_path: Path) -> None:
    store = Artefacts(tmp_path)
    assert store.put(INDEX.data) == INDEX.digest
    assert read(store.get(INDEX.digest)) == INDEX


def test_two_builds_are_one() -> None:
    assert built().digest == built(NOTES[::-1]).digest
    assert built().digest != built(NOTES[:-2]).digest


@pytest.mark.parametrize("cut", [0, 1, 40, 500, -1, -2, -60])
def test_a_half_written_one_is_refused(cut: int) -> None:
    with pytest.raises(StoreError, match=r"build it again"):
        read(INDEX.data[:cut])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"format":1', b'"format":2', "format 2"),
        (b'"tokens":1', b'"tokens":9', "tokens 9"),
        (b'"dim":64', b'"dim":32', "has dimension 64, not 32"),
        (b'"dim":64', b'"dim":-1', "settings"),
        (b'"text":', b'"test":', "cannot be read"),
        (b"preceptor-index", b"something-else", "no index"),
    ],
)
def test_another_or_a_damaged_one_is_refused(old: bytes, new: bytes, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        read(INDEX.data.replace(old, new, 1))


def test_only_allowed_notes() -> None:
    index = Index(INDEX.config, INDEX.passages, INDEX.vectors)
    check_ids(index, {e.id for e in NOTES})
    with pytest.raises(InputError, match="'n1'"):
        check_ids(index, {e.id for e in NOTES} - {"n1"})
    with pytest.raises(InputError, match="'n0'"):
        check_ids(replace(index_of([]), notes={"n0": "text"}), {"n1"})
    snippet = passage("x").model_copy(update={"source": "snippet", "example_id": ""})
    check_ids(index_of([snippet]), ())
