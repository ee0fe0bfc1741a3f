"""Labelled notes in files: CSV, JSON lines, JSON arrays or Parquet, one row at a time.

Owns the door to this package: the files in it are ``columns`` (what a task file says), ``rows`` with
``table``, ``parquet`` and ``decoding`` (reading), ``template`` (texts of several columns), ``gold``,
``keys`` (ids, patients, remarks) and ``load``.
"""

from preceptor.evals.data.columns import USUAL, Columns, Format, Source
from preceptor.evals.data.gold import empty
from preceptor.evals.data.keys import check_text, key_of, lookalikes, remarks
from preceptor.evals.data.load import load
from preceptor.evals.data.parquet import parquet_rows, pyarrow
from preceptor.evals.data.rows import ENDINGS, Row, format_of, rows
from preceptor.evals.data.table import DELIMITERS, delimiter
from preceptor.evals.data.template import Text, is_template, missing, text_of

__all__ = [
    "DELIMITERS", "ENDINGS", "USUAL", "Columns", "Format", "Row", "Source", "Text", "check_text",
    "delimiter", "empty", "format_of", "is_template", "key_of", "load", "lookalikes", "missing",
    "parquet_rows", "pyarrow", "remarks", "rows", "text_of",
]  # fmt: skip
