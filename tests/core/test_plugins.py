import sys
from pathlib import Path

import pytest

from preceptor.core import plugins
from preceptor.core.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_object_is_found_by_its_name() -> None:
    assert plugins.load_object("json:dumps") is __import__("json").dumps
    assert plugins.load_object("pathlib:Path.home") == Path.home


@pytest.mark.parametrize("spec", ["", "json", "json:", ":dumps", "a b:c", "json:dumps()", "../x:y"])
def test_what_names_no_object_is_said(spec: str) -> None:
    with pytest.raises(InputError, match=r"write it as package\.module:name"):
        plugins.load_object(spec)


def test_what_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no module 'no_such_thing' .install it"):
        plugins.load_object("no_such_thing:x")
    with pytest.raises(InputError, match=r"no module 'json.no_such_thing'"):
        plugins.load_object("json.no_such_thing:x")
    with pytest.raises(InputError, match=r"'json' has no 'dmups'"):
        plugins.load_object("json:dmups")


def test_a_module_that_fails_says_how_in_one_line(folder: Path) -> None:
    (folder / "fails_on_import.py").write_text("raise RuntimeError('one\\ntwo')")
    (folder / "needs_more.py").write_text("import not_installed_here")
    with pytest.raises(InputError, match=r"'fails_on_import' fails on import: RuntimeError: one ."):
        plugins.load_object("fails_on_import:x")
    with pytest.raises(InputError, match=r"'needs_more' fails on import: .*not_installed_here"):
        plugins.load_object("needs_more:x")


def test_a_module_of_the_working_directory_is_found_after_installed_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my_own_task.py").write_text("task = 5")
    (folder / "colorsys.py").write_text("rgb_to_hsv = 'shadow'")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    assert plugins.load_object("my_own_task:task") == 5
    assert plugins.load_object("colorsys:rgb_to_hsv") != "shadow"


def install(folder: Path, package: str, entries: str) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[preceptor.tests]\n{entries}\n")


def test_an_installed_package_offers_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    install(folder, "one", "dumps = json:dumps\nbroken = nowhere_at_all:x")
    assert set(plugins.entry_points("preceptor.tests")) == {"dumps", "broken"}
    assert plugins.load_entry_point("preceptor.tests", "dumps") is __import__("json").dumps
    with pytest.raises(InputError, match="no module 'nowhere_at_all'"):
        plugins.load_entry_point("preceptor.tests", "broken")
    with pytest.raises(InputError, match=r"there is no 'dmups' .known: broken, dumps"):
        plugins.load_entry_point("preceptor.tests", "dmups")
    with pytest.raises(InputError, match="none installed"):
        plugins.load_entry_point("preceptor.nothing", "x")


def test_two_packages_cannot_offer_one_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    install(folder, "one", "dumps = json:dumps")
    install(folder, "two", "dumps = pickle:dumps")
    with pytest.raises(InputError, match=r"'dumps' is both .*uninstall one"):
        plugins.entry_points("preceptor.tests")
