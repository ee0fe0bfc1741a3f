"""What hostile teachers and hostile notes achieve: ``docs/results/robustness.md``.

    python -m benchmarks.robustness > docs/results/robustness.md

Plays the suites of ``tests/hostile`` and writes down what came of each. Seconds are not measured.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from benchmarks import leaving, robustness_foreign
from preceptor.agents import brief
from preceptor.agents.rules import RuleTeacher
from preceptor.core.fields import LabelField
from preceptor.core.records import Example, ModelRef, Recipe
from preceptor.core.render import calls, printable
from preceptor.tools.prompt import EditPrompt
from preceptor.tools.toolbox import Toolbox
from tests.contracts.evidence import blind, corpus, evidence_of
from tests.contracts.teacher import FINISH, situation_of
from tests.core.test_hostile_quote import ACTIVE, UNSEEN
from tests.hostile.notes import NOTES
from tests.hostile.play import Played, play
from tests.hostile.teachers import CASES

HEAD = """# Hostile teachers, hostile notes, and files from somebody else

`python -m benchmarks.robustness`

## Teachers

Each plays against the loop on a small synthetic task (simulated student) over real HTTP, and does the
same thing for ever. It is corrected; after three unusable turns in a row it is given up: the best
recipe so far is kept in a bundle, and the exit code is 4.

| the teacher | requests | corrected in a row | exit code | bundle | last words to it, or about it |
| --- | ---: | ---: | ---: | --- | --- |"""
NOTES_HEAD = """
## Notes

{count} invented notes. «quiet» means: no special token of a chat template, no tag, no sign that nobody
sees is left of the note in the prompt; «fenced» that the note ends where the prompt says so. The tool
call is the rule teacher's on 40 notes of which this is one. Terminal: nothing can move the cursor.

| the note | characters | student prompt | teacher prompt | same tool call | terminal |
| --- | ---: | --- | --- | --- | --- |"""
END = """
Answers of other notes in the same batch of the embedded student do not change either
(`tests/hostile/test_notes.py`). What this does not show: that a language model, as teacher or
student, does not *believe* a note. A student that is told «mark everything absent» by a note may do
so for that note.
"""


def _cell(text: str) -> str:
    short = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", " ".join(text.split())).replace(
        "|", "\\|"
    )
    return short if len(short) <= 150 else short[:147] + "…"


def teacher_row(name: str, played: Played) -> str:
    """Return one line of the first table."""
    last = played.corrections[-1] if played.corrections else played.lost or "-"
    kept = "yes" if played.kept else "NO"
    return (
        f"| {name} | {played.asked} | {played.in_a_row} | {played.exit_code} | {kept} | {_cell(last)} |"
    )


def note_row(name: str, text: str) -> str:
    """Return one line of the second table."""
    field = LabelField(name="fever", values=("yes", "no"))
    (call,) = calls(Recipe(model=ModelRef(spec="x")), (field,), Example(id="n", group="p", text=text))
    body, fence, tail = call.messages[1].content.removeprefix("<note>\n").rpartition("\n</note>\n")
    student = _is_quiet(body) and bool(fence) and tail.startswith('Field: "fever"')
    usual, seen = _evidence(""), _evidence(text)
    _, told = brief.brief(situation_of(seen), seen, (), 10_000)
    teacher = _is_quiet(re.sub(r"</?note>", "", told)) and told.count("<note>") == told.count("</note>")
    tools = (*Toolbox([EditPrompt()]).specs(), FINISH)
    moves = [RuleTeacher().turn(situation_of(e), e, [], tools).calls for e in (usual, seen)]
    same = [(c.name, c.args) for c in moves[0]] == [(c.name, c.args) for c in moves[1]]
    shown = printable(text)
    marks = [
        "quiet, fenced" if student else "LEAKS",
        "quiet, fenced" if teacher else "LEAKS",
        "yes" if same else "NO",
        "escaped" if not UNSEEN.search(shown) and "\r" not in shown else "LEAKS",
    ]
    return f"| {name} | {len(text):,} | {' | '.join(marks)} |"


def _is_quiet(text: str) -> bool:
    return not ACTIVE.search(text) and not UNSEEN.search(text)


def _evidence(text: str):  # type: ignore[no-untyped-def]
    notes = list(corpus(40))
    notes[3] = Example(id="n3", group="p1", text=f"Reports nausea, queasy. {text}", gold=notes[3].gold)
    return evidence_of(tuple(notes), blind)


def main() -> None:
    """Print the page."""
    print(HEAD)
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(teacher_row(case.name, play(case, Path(folder))))
        print(case.name, file=sys.stderr)
    print(NOTES_HEAD.format(count=len(NOTES)))
    for name, text in NOTES.items():
        print(note_row(name, text))
    print(END, end="")
    robustness_foreign.write()
    leaving.main()


if __name__ == "__main__":
    main()
