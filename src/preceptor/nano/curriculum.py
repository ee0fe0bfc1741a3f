"""Own the order in which tasks get harder, and when the next stage is due."""

from __future__ import annotations

from preceptor.nano.generate import Level

STAGES: tuple[Level, ...] = (
    Level(words=200, hints=2, distract=0, schemes=-1, asked=3, plain=8, marks_only=True),
    Level(words=1000, hints=2, distract=1, schemes=-1, asked=3, plain=20, marks_only=True),
    Level(words=400, hints=1, distract=1, schemes=-1, asked=2, plain=20),
    Level(words=400, asked=2, plain=30),
    Level(words=1000, hints=2, distract=2, long=0.2),
    Level(words=2000, hints=3, distract=3, long=0.35, schemes=1),
    Level(9000, 4, 4, 0.45, schemes=1, special=0.15, rules=0.2, shots=0.3, bare=0.03),
    Level(9000, 5, 5, 0.5, 2, special=0.3, rules=0.5, shots=0.5, style=0.3, bare=0.06),
    Level(
        9000, 8, 10, 0.5, 2, special=0.4, rules=0.6, shots=0.2, style=0.7, asked=6, bare=0.06, again=0.1
    ),
)
LONG = Level(
    9000, 9, 10, 0.6, special=0.45, rules=0.15, style=0.9, asked=14, bare=0.04, known=0.1, again=0.2
)
MANY = Level(9000, 20, 22, 0.6, special=0.4, rules=0.2, style=0.9, asked=8, known=0.15, again=0.25)
SHOWN = Level(
    9000, 6, 14, 0.6, special=0.3, rules=0.1, shots=1.0, style=0.8, asked=5, bare=0.04, again=0.2
)
LAST_STAGE = (STAGES[-1], LONG, SHOWN, LONG, MANY, LONG)
"""What the steps of the last stage learn in turn: any labels and rules; notes as long as real ones, of
which many fields are asked; worked sentences as retrieval shows them; many hints and other things.
Without long notes a student that answers short ones well does little better than chance on them."""

PASS = (0.93, 0.93, 0.9, 0.9, 0.92, 0.91, 0.88, 0.86, 1.1)
"""Share of right labels over the last answers that a stage must reach."""

FRAME = (0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 0.3)
"""Weight of the answer's braces, name and end beside its label. Copying names is slow to form, and
its gradient drowns the label's: it waits until matching is there. In the last stage every answer
counts."""

QUESTIONS = (96, 96, 96, 108, 120, 120, 120, 120, 168)
"""Questions per step. Small steps first: how soon matching forms is a matter of updates."""

LATEST = (0.07, 0.15, 0.22, 0.3, 0.37, 0.45, 0.48, 0.5, 1.1)
"""Share of the whole training at which a stage is left, passed or not."""

LAST = 3000
"""How many of the last answers count."""


def level(stage: int, step: int) -> Level:
    """Return what a step learns."""
    return LAST_STAGE[step % len(LAST_STAGE)] if stage + 1 == len(STAGES) else STAGES[stage]


def next_stage(stage: int, hits: list[bool], done: float) -> int:
    """Return the stage to go on with.

    Args:
        stage: The present one.
        hits: Whether each of the last answers at this stage was right.
        done: Share of the whole training that is done.
    """
    if stage + 1 >= len(STAGES):
        return stage
    passed = len(hits) >= LAST and sum(hits[-LAST:]) / LAST >= PASS[stage]
    late = done > LATEST[stage]
    return stage + 1 if passed or late else stage
