"""Python that a file names runs where a person named it: one's own runs go on, those of others ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.core import permission
from preceptor.core.errors import InputError

CODE = "scoring:weighted"


@pytest.mark.parametrize("spec", ["", "toxicity", "accuracy", "a/b:c/task.yaml", "C:/task.yml"])
def test_names_and_task_files_need_no_permission(spec: str, tmp_path: Path) -> None:
    permission.require([spec], "run 'x'", environ={})
    permission.check([spec], None, "run 'x'", tmp_path)
    assert permission.seal([spec], tmp_path) == ""


def test_what_was_begun_here_goes_on_without_a_word(tmp_path: Path) -> None:
    sealed = permission.seal([CODE, "accuracy"], tmp_path)
    permission.check([CODE], sealed, "run 'x'", tmp_path)


@pytest.mark.parametrize("other", ["other:weighted", "scoring:other"])
def test_a_seal_is_good_for_no_other_code(other: str, tmp_path: Path) -> None:
    sealed = permission.seal([CODE], tmp_path)
    with pytest.raises(InputError, match=f"PRECEPTOR_RUN_CODE={other}"):
        permission.check([other], sealed, "run 'x'", tmp_path)
    with pytest.raises(InputError, match=f"PRECEPTOR_RUN_CODE={CODE},{other}"):
        permission.check([CODE, other], sealed, "run 'x'", tmp_path)


@pytest.mark.parametrize("sealed", [None, "", "0" * 64, 5, ["x"]])
def test_a_made_up_seal_is_none(sealed: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="code that a file names is not run"):
        permission.check([CODE], sealed, "run 'x'", tmp_path)


def test_the_seal_of_another_user_is_none(tmp_path: Path) -> None:
    sealed = permission.seal([CODE], tmp_path / "other")
    with pytest.raises(InputError):
        permission.check([CODE], sealed, "run 'x'", tmp_path / "mine")


def test_code_that_lies_elsewhere_is_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "foreign"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scoring_here.py").write_text("1/0\n", "utf-8")  # it must not be imported
    monkeypatch.chdir(tmp_path / "mine")
    sealed = permission.seal(["scoring_here:weighted"], tmp_path)
    permission.check(["scoring_here:weighted"], sealed, "run 'x'", tmp_path)
    monkeypatch.chdir(tmp_path / "foreign")
    with pytest.raises(InputError):
        permission.check(["scoring_here:weighted"], sealed, "run 'x'", tmp_path)


def test_a_person_may_allow_it_by_the_environment() -> None:
    permission.require([CODE, "a:b"], "run 'x'", environ={"PRECEPTOR_RUN_CODE": f"a:b, {CODE}"})
    with pytest.raises(InputError):
        permission.require([CODE], "run 'x'", environ={"PRECEPTOR_RUN_CODE": "a:b"})


def test_the_key_is_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    first = permission.seal([CODE], tmp_path / "home")
    key = tmp_path / "home" / permission.KEY
    assert key.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in key.parent.iterdir()] == [permission.KEY]
    assert permission.seal([CODE], tmp_path / "home") == first


def test_where_no_key_can_be_kept_nothing_is_sealed_and_one_may_still_allow_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert permission.seal([CODE], tmp_path / "file") == ""
    with pytest.raises(InputError):
        permission.check([CODE], "", "run 'x'", tmp_path / "file")
