"""How often the sentence that carries a label is found, on synthetic notes that keep a trace.

The generator of the task ``toxicity`` remembers which statement settles each label. The evidence model
is given notes and labels only; counted is how often the sentence that it takes holds that statement.
«Noise» is the same with labels drawn at random: the share of notes for which a sentence is taken
although none can say anything. The constants of the model were chosen on corpora of seeds 1 to 3 and of
the task's own seed; those below are others.

    python benchmarks/evidence.py > docs/results/evidence.md
"""

from __future__ import annotations

import argparse
import statistics
from random import Random

from preceptor.core.fields import LabelField
from preceptor.core.records import Example
from preceptor.core.text import sentences
from preceptor.evals.tasks.toxicity import example_id, notes, task
from preceptor.tools.rag.evidence import spots

SIZES = (24, 47, 100, 147)
LABELS = ("present", "absent", "unknown")


def examples(corpus: list[notes.Note]) -> list[Example]:
    """Return the notes as a task has them."""
    return [
        Example(id=example_id(note), group=f"p{note.patient}", text=note.text, gold={**note.gold})
        for note in corpus
    ]


def found(corpus: list[notes.Note]) -> tuple[float, float]:
    """Return (precision, recall) of the deciding sentence."""
    taken = {(s.note, s.field): s.sentence for s in spots(examples(corpus), task().fields) if s.decides}
    wanted = [(i, m) for i, note in enumerate(corpus) for m in note.mentions if m.decides]
    right = sum(
        m.surface in sentences(corpus[i].text)[taken[i, m.field]]
        for i, m in wanted
        if (i, m.field) in taken
    )
    return right / max(len(taken), 1), right / len(wanted)


def noise(corpus: list[notes.Note], seed: int) -> float:
    """Return the share of notes with a deciding sentence when the labels are drawn at random."""
    draw, field = Random(seed), LabelField(name="zzz", values=LABELS)
    drawn = [e.model_copy(update={"gold": {"zzz": draw.choice(LABELS)}}) for e in examples(corpus)]
    return sum(s.decides for s in spots(drawn, [field])) / len(drawn)


def main() -> None:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(100, 100 + parser.parse_args().seeds)
    print("# How often the sentence that carries a label is found\n")
    print(
        f"Written by `benchmarks/evidence.py`; mean (range) over {len(seeds)} corpora of `toxicity`'s"
    )
    print("generator, two notes per patient, twelve fields.\n")
    print("| patients | precision | recall | noise |\n| ---: | --- | --- | --- |")
    for size in SIZES:
        made = [notes.corpus(seed, size) for seed in seeds]
        pairs = [found(corpus) for corpus in made]
        drawn = [noise(corpus, seed) for corpus, seed in zip(made, seeds, strict=True)]
        columns = [[p for p, _ in pairs], [r for _, r in pairs], drawn]
        cells = " | ".join(f"{statistics.mean(c):.2f} ({min(c):.2f} to {max(c):.2f})" for c in columns)
        print(f"| {size} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
