"""What stands in the way of each kind of move, told by the rule teacher when it ends a run.

Owns the words; every reason comes from what was decided in that turn: what was proposed, what of it was
tried before, and what the rest promised.
"""

from __future__ import annotations

from collections.abc import Sequence

from preceptor.agents import labelling
from preceptor.agents.moves import Move
from preceptor.agents.study import Study
from preceptor.core import readable
from preceptor.core.blocked import Blocked
from preceptor.core.records import Situation

EDIT = "edit_prompt"
ORDER = (EDIT, "index_examples", labelling.TUNE, labelling.LABEL)


def blocked(
    situation: Situation,
    study: Study,
    offered: Sequence[str],
    moves: tuple[Sequence[Move], Sequence[tuple[float, Move]]],
    least: float,
) -> tuple[Blocked, ...]:
    """Return one reason per kind of move, in a fixed order.

    Args:
        situation: What the tools said of themselves, and how many looks are left.
        study: What was counted.
        offered: The tools that may be called.
        moves: Those that promised something; and of these those that were not made before, each
            with its corrected gain.
        least: The gain from which on a move is worth a round.
    """
    found, untried = moves
    told = {one.move: one for one in situation.blocked}
    out = []
    for name in (*ORDER, *(n for n in told if n not in ORDER)):
        if name in told:
            out.append(told[name])
        elif name == labelling.LABEL and name in offered:
            why = f"its labels are of use to {labelling.TUNE} alone"
            out.append(Blocked(move=name, reason=why))
        elif name in offered:
            mine = [m for m in found if m.tool == name]
            left = [(gain, m) for gain, m in untried if m.tool == name]
            why = _why(study, mine, left, least) if situation.looks_left else "no look at dev is left"
            out.append(Blocked(move=name, reason=why))
    return tuple(out)


def _why(study: Study, found: Sequence[Move], left: Sequence[tuple[float, Move]], least: float) -> str:
    if not found:
        return _nothing(study)
    if not left:
        count = f"all {len(found)} calls" if len(found) > 1 else "the one call"
        return f"{count} that train speaks for {'were' if len(found) > 1 else 'was'} tried"
    gain, best = max(left, key=lambda pair: pair[0])
    worth = f"less than the {100 * least:.1f} that a round is worth"
    if best.gain >= least:
        promised = f"{100 * best.gain:+.1f} points, {100 * gain:+.1f} after what earlier ones brought"
    else:
        promised = f"{100 * gain:+.1f} points on train"
    return f"the best of {len(left)} that were not tried promises {promised}: {worth}"


def _nothing(study: Study) -> str:
    """Return why no edit is proposed."""
    wrong = [cell for of in study.fields for cell in of.cells if not cell.right]
    if not wrong:
        return "no answer on the shown part of train is wrong"
    lost = [cell for cell in wrong if cell.said is None]
    if 2 * len(lost) >= len(wrong):
        seen = readable.count(study.evidence.answers, study.evidence.recipe)
        return f"{len(lost)} of {len(wrong)} wrong answers say nothing ({seen.counts()})"
    return f"no phrase in train separates the {len(wrong)} wrong answers from the right ones"
