"""What is reached without a language model: the numbers that a student has to beat.

A baseline returns one Gold per example id and learns from train alone; scoring is left to
``evals.scorers``. ``names_for`` says which ones a task has, ``predict`` asks one.
"""

from preceptor.evals.baselines.catalogue import (
    EMBEDDING,
    NAMES,
    Kind,
    Name,
    kind_of,
    names_for,
    predict,
    trivial_names,
)
from preceptor.evals.baselines.mining import mine
from preceptor.evals.baselines.rules import Phrases, read
from preceptor.evals.baselines.scopes import Status, status
from preceptor.evals.baselines.supervised import Embed

__all__ = [
    "EMBEDDING",
    "NAMES",
    "Embed",
    "Kind",
    "Name",
    "Phrases",
    "Status",
    "kind_of",
    "mine",
    "names_for",
    "predict",
    "read",
    "status",
    "trivial_names",
]
