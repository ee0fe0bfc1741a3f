"""The baselines of a run's report: those of its task, and what an embedder adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from preceptor.core.errors import StudentError
from preceptor.evals import baselines
from preceptor.graphs import reporting
from tests.graphs import small


def test_a_run_with_an_embedder_has_the_baseline_on_its_vectors(tmp_path: Path) -> None:
    options = small.OPTIONS.model_copy(update={"embedder": "hash:64"})
    with small.opened(tmp_path, options) as session:
        notes = session.examples(session.splits.dev)
        said = reporting._rules(session, notes)
    assert set(said) == set(baselines.names_for(session.task, embedder=True))
    assert all({*answers} == {note.id for note in notes} for answers in said.values())


def test_an_embedder_that_is_gone_costs_its_line_and_not_the_report(tmp_path: Path) -> None:
    def gone(texts: Sequence[str]) -> list[tuple[float, ...]]:
        raise StudentError("no server at 127.0.0.1:9")

    with small.opened(tmp_path) as session:
        notes = session.examples(session.splits.dev)
        said = reporting._rules(replace(session, embed=gone), notes)
        assert set(said) == set(baselines.names_for(session.task))
        (event,) = [e.data for e in session.store.trace if e.kind == "no_baseline"]
    assert event == {"name": "embedding", "why": "no server at 127.0.0.1:9"}
