"""Which embedder tells the rule teacher what phrases mean: decided once, written down, kept."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from preceptor.cli import refine as command
from preceptor.core import model_folder, model_home
from preceptor.core.egress import Egress
from preceptor.core.errors import InputError
from preceptor.core.runs import RunStore
from preceptor.core.settings import Settings
from preceptor.graphs import refine, teacher_embedder, wiring
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState
from preceptor.graphs.teacher_embedder import settled
from tests.graphs.small import OPTIONS, die, finished, in_child, opened
from tests.graphs.test_resume import outcome


def asked(**given: object) -> wiring.Options:
    return OPTIONS.model_copy(update=given)


def chosen(**given: object) -> str:
    return settled(asked(**given)).teacher_embedder


def kept(root: Path) -> str:
    options = RunStore.open(root / "run").config["options"]
    assert isinstance(options, dict)
    return str(options["teacher_embedder"])


def shelf(home: Path) -> None:
    """Put a folder there that looks as if the default model had been fetched."""
    folder = home / teacher_embedder.DEFAULT
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", "utf-8")
    slip = model_home.Fetched(
        name=teacher_embedder.DEFAULT,
        kind="embedder",
        source="here",
        licence="none",
        date="2026-01-01",
        digest=model_folder.known_digest(folder),
        files=model_home.stamps(folder),
    )
    (folder / model_home.SLIP).write_text(slip.to_json(), "utf-8")


def test_without_a_model_there_is_none(tmp_path: Path) -> None:
    assert chosen(models_dir=str(tmp_path)) == "none"
    with opened(tmp_path) as session:
        assert session.teacher.name == "rules"
    assert kept(tmp_path) == "none"


def test_the_fetched_model_is_taken_unless_something_else_is_said(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    shelf(tmp_path)
    home = str(tmp_path)
    assert chosen(models_dir=home) == "st:all-minilm-l6-v2"
    assert chosen(models_dir=home, teacher_embedder="none") == "none"
    assert chosen(models_dir=home, embedder="openai:e@http://127.0.0.1:9/v1").startswith("openai:")
    assert chosen(models_dir=home, embedder="hash:64") == "st:all-minilm-l6-v2", "it knows no meaning"
    assert chosen(models_dir=home, teacher="openai:gpt-4o") == "none"
    (tmp_path / teacher_embedder.DEFAULT / "config.json").write_text("{ }", "utf-8")
    assert chosen(models_dir=home) == "none", "a changed model is not taken unasked"


@pytest.mark.parametrize("name", ["magic:1", "st:all-minilm-l6-v2", "st:all-minilm-l6"])
def test_one_that_is_not_here_is_refused_before_the_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError), opened(tmp_path, asked(teacher_embedder=name)):
        pass
    assert not (tmp_path / "run").exists()


def test_the_setting_and_the_option_reach_the_run() -> None:
    settings = Settings(teacher_embedder="none")
    assert wiring.options(settings, {"task": "toxicity"}).teacher_embedder == "none"
    given = {"task": "toxicity", "teacher_embedder": "hash:64"}
    assert wiring.options(settings, given).teacher_embedder == "hash:64"
    with pytest.raises(InputError, match="teacher_embedder"):
        wiring.options(Settings(teacher_embedder="openai:e@http://u:p@h/v1"), {"task": "toxicity"})


def test_the_command_line_says_it() -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    args = parser.parse_args(["toxicity", "--teacher-embedder", "hash:64"])
    assert command.options(args, Settings(teacher_embedder="none")).teacher_embedder == "hash:64"
    args = parser.parse_args(["toxicity"])
    assert command.options(args, Settings(teacher_embedder="none")).teacher_embedder == "none"


def test_a_resumed_run_teaches_alike(tmp_path: Path) -> None:
    options = asked(teacher_embedder="hash:64")
    (tmp_path / "whole").mkdir()
    finished(tmp_path / "whole", options)
    (tmp_path / "cut").mkdir()

    def killed() -> None:
        node = refine.NODES["judge"]

        def dying(session: Session, state: RunState) -> RunState:
            node(session, state)
            die()
            return {}

        refine.NODES["judge"] = dying
        finished(tmp_path / "cut", options)

    assert in_child(killed) == -9
    assert in_child(lambda: (finished(tmp_path / "cut"), None)[1]) == 0
    assert kept(tmp_path / "cut") == "hash:64"
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_run_of_before_there_was_a_choice_has_none() -> None:
    assert teacher_embedder.meaning(asked(teacher_embedder=""), None, Egress("open", None)) is None
    assert teacher_embedder.meaning(asked(teacher_embedder="none"), None, Egress("open", None)) is None
    assert teacher_embedder.meaning(asked(teacher_embedder="hash:64"), None, Egress("open", None))
