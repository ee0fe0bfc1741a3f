"""The tasks ``psytar`` and ``psytar-l``: sentences of reviews of drugs by patients, six yes/no labels.

Owns the mapping from the preprocessed CSV files to a task. The data are not part of the project:
``preceptor tasks fetch psytar`` gets them, or ``data_dir`` names a folder that has them.

* Labels: ADR, WD, EF, INF, SSI and DI, as the corpus has them; ``no`` is the default.
* Groups: the files carry neither a review nor a patient, so sentences of one review may stand in
  different parts; that cannot be told. A group is a cluster of near-duplicates (word-trigram Jaccard
  of at least 0.8), so that a sentence and its copy stay together.
* Parts: 200, 150 and 300 sentences of the 6,002, drawn anew per seed: enough for intervals on a small
  student. ``psytar-l`` draws 2,000, 300 and 600, for what more labels are worth. The authors' own part
  of each sentence is kept in ``meta["authors_split"]``.

Zolnoori et al. 2019, Data in Brief 24:103838 (CC BY 4.0); preprocessing: M. Basaldella.
"""

from __future__ import annotations

from pathlib import Path

from preceptor.core.errors import TaskError
from preceptor.core.fields import LabelField
from preceptor.core.records import Example, Guide, Prompt
from preceptor.evals import data, duplicates
from preceptor.evals.splits import SplitSpec
from preceptor.evals.task import Task
from preceptor.evals.tasks import fetch

MEANINGS = {
    "ADR": "adverse drug reaction: an unwanted effect of the drug",
    "WD": "withdrawal symptom: an effect of stopping or reducing the drug",
    "EF": "effective: the drug helped",
    "INF": "ineffective: the drug did not help or stopped helping",
    "SSI": "sign, symptom or illness that the patient has or had apart from the drug",
    "DI": "drug indication: what the drug was taken for",
}
FILES = ("train", "dev", "test")
SPLIT = SplitSpec(train=200, dev=150, test=300)
SPLIT_L = SplitSpec(train=2000, dev=300, test=600)


def task(data_dir: Path | None = None) -> Task:
    """Return the task from ``<data_dir>/psytar/binary/*.csv``.

    Raises:
        TaskError: If the files are not there, or not as they should be.
    """
    return _task("psytar", SPLIT, data_dir)


def task_l(data_dir: Path | None = None) -> Task:
    """Return ``psytar-l``, the same with larger parts.

    Raises:
        TaskError: As ``task``.
    """
    return _task("psytar-l", SPLIT_L, data_dir)


def _task(name: str, split: SplitSpec, data_dir: Path | None) -> Task:
    folder = fetch.place("psytar", data_dir) / "binary"
    examples = [e for part in FILES for e in _examples(folder / f"{part}.csv", part)]
    first = duplicates.clusters([e.text for e in examples])
    grouped = [
        e.model_copy(update={"group": examples[i].id}) for e, i in zip(examples, first, strict=True)
    ]
    return Task(
        name=name,
        fields=tuple(LabelField(name=field, values=("yes", "no"), default="no") for field in MEANINGS),
        prompt=Prompt(
            instruction="Read the sentence of a drug review and fill in the field. Answer in JSON.",
            guides={field: Guide(meaning=meaning) for field, meaning in MEANINGS.items()},
        ),
        examples=tuple(grouped),
        split=split,
        description="Six yes/no labels of sentences that patients wrote about psychiatric drugs.",
        source="PsyTAR (Zolnoori et al. 2019), CC BY 4.0; github.com/basaldella/psytarpreprocessor",
    )


def _examples(path: Path, part: str) -> list[Example]:
    out = []
    for line, row in data.rows(path, "csv", "\t"):
        if set(row) != {"sentences", *MEANINGS} or not set(row[m] for m in MEANINGS) <= {"0", "1"}:
            raise TaskError(
                f"{path}, line {line}: not the columns sentences, {', '.join(MEANINGS)} of 0 and 1",
                "fetch the data again: preceptor tasks fetch psytar",
            )
        out.append(
            Example(
                id=f"{part}-{line:05d}",
                group=f"{part}-{line:05d}",
                text=str(row["sentences"]),
                gold={name: "yes" if row[name] == "1" else "no" for name in MEANINGS},
                meta={"authors_split": part},
            )
        )
    return out
