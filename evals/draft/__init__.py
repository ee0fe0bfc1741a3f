"""A first task file from labelled notes: a table, or what an annotation tool exports.

``record`` is what was guessed, ``guess`` guesses it from the columns of a table, ``converted`` from an
export, and ``write`` writes the folder.
"""

from preceptor.evals.draft.guess import draft, names_nothing
from preceptor.evals.draft.record import Draft
from preceptor.evals.draft.write import write

__all__ = ["Draft", "draft", "names_nothing", "write"]
