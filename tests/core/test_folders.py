"""A folder takes another's place: whole, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from preceptor.core import folders
from preceptor.core.folders import exchanged, put_in_place


def made(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text, "utf-8")
    return path


def found(folder: Path) -> dict[str, str]:
    return {p.parent.name: p.read_text("utf-8") for p in folder.glob("*/file")}


@pytest.fixture(params=[True, False], ids=["in one step", "in two"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(folders, "exchanged", lambda *_: False)


@pytest.mark.usefixtures("steps")
def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    put_in_place(made(tmp_path / ".new", "1"), tmp_path / "it")
    assert found(tmp_path) == {"it": "1"}
    put_in_place(made(tmp_path / ".new", "2"), tmp_path / "it")
    assert found(tmp_path) == {"it": "2"}


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs an exchange of names")
def test_names_are_exchanged_at_once(tmp_path: Path) -> None:
    assert exchanged(made(tmp_path / "a", "1"), made(tmp_path / "b", "2"))
    assert found(tmp_path) == {"a": "2", "b": "1"}
    assert not exchanged(tmp_path / "a", tmp_path / "nowhere")


def test_what_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, fresh = made(tmp_path / "it", "1"), made(tmp_path / ".new", "2")
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self == fresh:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(folders, "exchanged", lambda *_: False)
    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(OSError, match="No space"):
        put_in_place(fresh, old)
    assert found(tmp_path)["it"] == "1"
