"""The one error tree, and the one broad ``except``.

Owns what can go wrong and which exit code it has. A bad answer of a student is not an error but an
``Answer``; nothing here quotes a note.

    PreceptorError
    ├── InputError         2    a file, a task, a setting or an argument is wrong
    │   ├── TaskError           a task file or its data
    │   ├── Unserved            trained weights could not be brought back to their server
    │   └── StoreError          a run folder: locked, newer, damaged, disk full
    ├── BudgetStop         3    the budget is used up; the best recipe is kept
    ├── TeacherError       4    the teacher gives nothing that can be used
    ├── StudentError       5    the student's server or model cannot be reached or used
    ├── Unforeseen         1    a fault of the program, or a file that nothing checks
    └── Interrupted      130    Ctrl-C or a stop file; the run can be resumed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class PreceptorError(Exception):
    """Root of every error that the program raises on purpose.

    Args:
        message: One line: what is wrong, and where (file, line, field).
        hint: One line: what to do about it.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(PreceptorError):
    """A file, a setting or an argument is wrong."""


class TaskError(InputError):
    """A task file, or the data that it names, is wrong."""


class Unserved(InputError):
    """What was trained could not be brought back to the server that the student answers from."""


class StoreError(InputError):
    """A run folder cannot be used: locked, of a newer version, damaged, disk full."""


class BudgetStop(PreceptorError):
    """The next step does not fit in what is left of the budget."""

    exit_code = 3


class TeacherError(PreceptorError):
    """The teacher cannot be reached, or nothing that it says can be used."""

    exit_code = 4


class StudentError(PreceptorError):
    """The student cannot be reached, loaded or used."""

    exit_code = 5


class Unforeseen(PreceptorError):
    """What no other error foresees: it says where that was and of which kind, not its words."""

    exit_code = 1


class Interrupted(PreceptorError):
    """A person stopped the run; it can be resumed."""

    exit_code = 130


@contextmanager
def boundary(
    error: type[PreceptorError], what: str, hint: str = "", *, quiet: bool = False
) -> Iterator[None]:
    """Turn whatever a foreign library raises inside into one error of ours.

    Args:
        error: The leaf to raise.
        what: What was being done, for the message.
        hint: What to do about it.
        quiet: Whether only the kind of the foreign error is told: its words may quote a note.

    Raises:
        PreceptorError: ``error``, with the foreign error as its cause; errors of ours pass through.
    """
    try:
        yield
    except PreceptorError:
        raise
    except Exception as cause:
        reason = (str(cause).strip().splitlines() or [""])[0][:200]
        told = type(cause).__name__ if quiet else f"{type(cause).__name__}: {reason}"
        raise error(f"{what}: {told}", hint) from cause
