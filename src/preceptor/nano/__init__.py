"""Own the location of the shipped weights of `nano`, the embedded student.

Training, the task generator and the evaluation live in this package's modules and are imported
by name; nothing heavy is imported here.
"""

from pathlib import Path

__all__ = ["path"]


def path() -> Path:
    """Return the folder that holds the shipped weights and tokenizer."""
    return Path(__file__).resolve().parent / "weights"
