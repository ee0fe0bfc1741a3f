"""Going back to the recipe of an earlier round of a finished run.

Owns which recipe was accepted as of a round, and the new bundle. The run itself is not changed: its
trace gets one more event, and the bundle's metrics say that the sealed test was measured for another
recipe. The sealed test is not opened again.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from preceptor.core.errors import InputError
from preceptor.core.reading import loads
from preceptor.core.record import Record
from preceptor.core.records import Recipe
from preceptor.core.runs import RunStore
from preceptor.core.trace import Event
from preceptor.graphs import bundle

REMARK = """This bundle was rolled back to round {round}. The sealed test in `metrics.json` was measured
for the recipe `{tested}`, not for the one in this folder (`{recipe}`)."""


UNTOUCHED = """This bundle was rolled back to round {round}, the untouched student. Of the sealed
test in `metrics.json` the baseline's score is its own, the final one that of `{tested}`."""


class RolledBack(Record):
    """What came of it.

    Attributes:
        round: The round.
        recipe: The recipe that the bundle now holds.
        before: The one that it held.
        tested: The one that the sealed test was measured for.
        untouched: Whether it is the student as it came, which the sealed test was measured for, too.
    """

    round: int
    recipe: str
    before: str
    tested: str
    untouched: bool = False


def roll_back(path: Path, round_: int) -> RolledBack:
    """Make the recipe that was accepted as of a round the run's bundle.

    Args:
        path: The folder of a finished run.
        round_: The round; 0 is the untouched student.

    Raises:
        InputError: If the run is not finished, or has no such round.
        StoreError: If it is no run, or in use.
    """
    store = RunStore.open(path)
    with store.lock():
        events = list(store.trace)
        tested = next((str(e.data["final"]) for e in events if e.kind == "report"), "")
        if not tested:
            raise InputError(
                f"run {path.name!r} is not finished", f"go on with: preceptor resume {path}"
            )
        recipe = _accepted(store, events, round_)
        made = bundle.read(path)
        done = RolledBack(
            round=round_,
            recipe=recipe.fingerprint,
            before=made.recipe.fingerprint,
            tested=tested,
            untouched=recipe.fingerprint == store.said("start", Recipe).fingerprint,
        )
        if done.recipe == done.before:
            return done
        count = sum(e.kind == "rollback" for e in events)
        store.trace.append("rollback", done.model_dump(mode="json"), f"rollback-{count + 1}")
        bundle.export(
            store, made.model_copy(update={"recipe": recipe}), _metrics(path, done), _remark(done)
        )
    return done


def _accepted(store: RunStore, events: list[Event], round_: int) -> Recipe:
    rounds = [e.data["round"] for e in events if isinstance(e.data.get("round"), int)]
    last = max((r for r in rounds if isinstance(r, int)), default=0)
    if not 0 <= round_ <= last:
        raise InputError(
            f"run {store.name!r} has no round {round_}", f"0 (the untouched student) to {last}"
        )
    verdicts = [e.data for e in events if e.kind == "verdict"]
    until = [v for v in verdicts if isinstance(v["round"], int) and v["round"] <= round_]
    if not until:
        return store.said("start", Recipe)
    return store.artefacts.get_record(str(until[-1]["incumbent"]), Recipe)


def _metrics(path: Path, done: RolledBack) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = loads((path / "report.json").read_text("utf-8"))
    if done.recipe == done.tested:
        return found
    return {
        **found,
        "rollback": {
            "round": done.round,
            "recipe": done.recipe,
            "test_measured_for": done.tested,
            "note": "the sealed test's baseline is this bundle's recipe"
            if done.untouched
            else "the sealed test was measured for another recipe than this bundle's",
        },
    }


def _remark(done: RolledBack) -> str:
    if done.recipe == done.tested:
        return ""
    return (UNTOUCHED if done.untouched else REMARK).format(**done.model_dump())
