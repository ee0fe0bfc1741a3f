"""What files from somebody else achieve: a part of ``docs/results/robustness.md``.

    python -m benchmarks.robustness_foreign

Plays ``tests/hostile/foreign.py`` and writes down what came of each case.
"""

from __future__ import annotations

import re
import sys

from tests.hostile.foreign import CASES, Case, Tried, tried

HEAD = """
## Runs, task files, models and adapters from somebody else

{count} of them, each made to run a command (or, where it says so, to keep a regular expression busy for
ever), and a person at the keyboard who answers "yes" to everything. "Ran" means that the command left
its mark. What is trusted and what is not: [SECURITY.md](../../SECURITY.md).

| what | how it would run | ran | last words about it |
| --- | --- | --- | --- |"""
END = """
Ran: {ran} of {count}. Refused in one line: {refused}."""
_WORDS = 170


def row(case: Case, came: Tried) -> str:
    """Return one line of the table."""
    said = re.sub(r"^(preceptor|error): ", "", " ".join(came.said.split())).replace("|", "\\|")
    short = said if len(said) <= _WORDS else said[: _WORDS - 1] + "…"
    return f"| {case.of} | {case.name} | {'YES' if came.ran else 'no'} | {short or '-'} |"


def write() -> None:
    """Print the part."""
    print(HEAD.format(count=len(CASES)))
    played = []
    for case in CASES:
        came = tried(case)
        played.append(came)
        print(row(case, came))
        print(case.name, file=sys.stderr)
    refused = sum(p.said.startswith(("preceptor: ", "error: ")) and "\n" not in p.said for p in played)
    print(END.format(ran=sum(p.ran for p in played), count=len(played), refused=refused))


if __name__ == "__main__":
    write()
