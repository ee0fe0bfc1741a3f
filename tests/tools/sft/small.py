"""Small trainings of a tiny random model, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

from preceptor.core.files import compact
from preceptor.core.ports import Evidence
from preceptor.core.record import digest
from preceptor.core.records import AdapterRef, Example, ModelRef, Recipe
from preceptor.tools.sft import base, data
from preceptor.tools.sft.bundles import TokenRow
from preceptor.tools.sft.job import DATA, JOB, PATHS, Base, Hyper, Job, Limits, Paths
from preceptor.tools.sft.tokens import Template
from tests.agents.students import tiny
from tests.contracts.evidence import FIELDS, blind, corpus, evidence_of

NOTES = corpus(10)
HYPER = Hyper(epochs=2, batch=16, validation=0, patience=0)


@cache
def model(kind: Literal["lfm2", "llama", "mistral"] = "lfm2") -> Path:
    """Return the folder of a tiny random model, made once per process."""
    return tiny.save(kind, Path(mkdtemp(prefix="preceptor-tiny-")) / kind)


def recipe(kind: Literal["lfm2", "llama"] = "lfm2", adapter: AdapterRef | None = None) -> Recipe:
    folder = model(kind)
    ref = ModelRef(spec=f"hf:{folder}", digest=base.model_digest(folder))
    return Recipe(model=ref, adapter=adapter)


def rows(notes: Sequence[Example] = NOTES, fields: int = 2) -> list[data.Row]:
    return data.rows(recipe(), FIELDS[:fields], notes)


def token_row(template: Template, row: data.Row) -> TokenRow:
    prompt, answer = template.row(row.prompt, row.answer)
    return TokenRow(row.id, tuple(prompt), tuple(answer))


def write(
    folder: Path, hyper: Hyper = HYPER, limits: Limits | None = None, found: Sequence[data.Row] = ()
) -> Job:
    """Write a job's folder as the runner does, and return the job."""
    raw = data.dump(found or rows())
    job = Job(
        base=Base(spec="hf:tiny", digest=base.model_digest(model())),
        data=digest(raw),
        rows=len(found or rows()),
        hyper=hyper,
        limits=limits or Limits(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DATA).write_bytes(raw)
    (folder / JOB).write_text(job.to_json())
    (folder / PATHS).write_bytes(compact(Paths(base=str(model())).model_dump(mode="json")))
    return job


def evidence(notes: tuple[Example, ...] = NOTES, said: Recipe | None = None) -> Evidence:
    return evidence_of(notes, blind, said or recipe())
