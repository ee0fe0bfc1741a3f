"""What a token costs: a dated table, and what the user says instead.

Owns the prices and how a model's name is looked up in them. Leaves adding up to ``ledger``. A model
that is not in the table has no price, which is not the same as costing nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from pydantic import Field, JsonValue, ValidationError

from preceptor.core.errors import InputError
from preceptor.core.record import Record

PRICE_HINT = (
    "set it with: --set 'prices.\"MODEL\".input=DOLLARS' --set 'prices.\"MODEL\".output=DOLLARS'"
)
"""What to do about a model without a price; dollars are per million tokens."""

BATCH_SHARE = 0.5
"""What OpenAI takes for a token of a batch, as a share of the usual price (its Batch API guide)."""

_DATE = re.compile(r"-20\d\d-\d\d-\d\d$")


class Price(Record):
    """What a model costs.

    Attributes:
        pattern: The model's name; ``*`` stands for anything.
        input: Dollars per million input tokens.
        output: Dollars per million output tokens.
        batch: What a token costs in a batch, as a share of that; None: half at OpenAI itself, as much
            everywhere else.
        date: When the price was looked up, ISO 8601.
        source: Where.
    """

    pattern: str
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    batch: float | None = Field(default=None, ge=0, le=1)
    date: str = ""
    source: str = ""


def _free(pattern: str) -> Price:
    return Price(pattern=pattern, input=0, output=0, source="runs on this machine")


def _openai(name: str, dollars_in: float, dollars_out: float) -> Price:
    return Price(
        pattern=name,
        input=dollars_in,
        output=dollars_out,
        date="2026-03-21",
        source="OpenAI API, standard tier, public listing",
    )


_FREE = tuple(
    _free(pattern)
    for pattern in (
        "rules",
        "nano",
        "scripted*",
        "simulated*",
        "hf:*",
        "ollama:*",
        "openai:*@http://localhost[:/]*",
        "openai:*@http://127.0.0.1[:/]*",
        "openai:*@https://localhost[:/]*",
        "openai:*@https://127.0.0.1[:/]*",
    )
)

_REMOTE = (
    _openai("gpt-4o-2024-05-13", 5.00, 15.00),
    _openai("gpt-4o", 2.50, 10.00),
    _openai("gpt-4o-mini", 0.15, 0.60),
    _openai("gpt-4.1", 2.00, 8.00),
    _openai("gpt-4.1-mini", 0.40, 1.60),
    _openai("gpt-4.1-nano", 0.10, 0.40),
    _openai("gpt-5", 1.25, 10.00),
    _openai("gpt-5-mini", 0.25, 2.00),
    _openai("gpt-5-nano", 0.05, 0.40),
    _openai("o3", 2.00, 8.00),
    _openai("o4-mini", 1.10, 4.40),
)


def _spellings(model: str) -> list[str]:
    """Return the names to look for: as given, without ``openai:``, without a release date."""
    names = [model]
    if model.startswith("openai:") and "@" not in model:
        names.append(model.removeprefix("openai:"))
    return names + [_DATE.sub("", name) for name in names if _DATE.search(name)]


def _batch_share(model: str, price: Price) -> float:
    if price.batch is not None:
        return price.batch
    return BATCH_SHARE if model.startswith("openai:") and "@" not in model else 1.0


class PriceTable(Record):
    """Prices in order of precedence."""

    prices: tuple[Price, ...] = (*_FREE, *_REMOTE)

    def find(self, model: str) -> Price | None:
        """Return the price of a model, None if it is not known.

        Args:
            model: A student's spec or a teacher's name (``openai:gpt-4o``, ``gpt-4o-2024-08-06``).
        """
        for name in _spellings(model):
            for price in self.prices:
                if price.pattern == name or fnmatchcase(name, price.pattern):
                    return price
        return None

    def is_free(self, model: str) -> bool:
        """Return whether a model is known to cost nothing."""
        price = self.find(model)
        return price is not None and not price.input and not price.output

    def cost(
        self, model: str, input_tokens: float | None, output_tokens: float | None, batch: bool = False
    ) -> float | None:
        """Return dollars; None if the price or a token count that matters is unknown.

        Args:
            model: Its name.
            input_tokens: Or None, if nobody knows.
            output_tokens: Likewise.
            batch: Whether they went through a batch endpoint.
        """
        price = self.find(model)
        if price is None:
            return None
        dollars = 0.0
        share = _batch_share(model, price) if batch else 1.0
        for rate, tokens in ((price.input, input_tokens), (price.output, output_tokens)):
            if rate and tokens is None:
                return None
            dollars += share * rate * (tokens or 0) / 1_000_000
        return dollars

    def override(self, said: Mapping[str, JsonValue], where: str = "prices") -> PriceTable:
        """Return a table in which what the user says comes first.

        Args:
            said: ``{"model or pattern": {"input": 1.0, "output": 2.0}}``, with ``batch``, ``date``
                and ``source`` if wanted; dollars per million tokens.
            where: The file or setting, for the message.

        Raises:
            InputError: If an entry is no price.
        """
        own = []
        for pattern, entry in said.items():
            given = {"source": "user", **entry} if isinstance(entry, dict) else {}
            try:
                own.append(Price.model_validate({**given, "pattern": pattern}))
            except ValidationError as cause:
                problem = cause.errors()[0]
                key = ".".join(str(part) for part in (pattern, *problem["loc"]))
                raise InputError(f"{where}: {key}: {problem['msg']}", PRICE_HINT) from cause
        return PriceTable(prices=(*own, *self.prices))
