"""A training whose second process fails in the middle of a step; started by ``test_ranks``."""

from __future__ import annotations

import sys
from typing import Any

from preceptor.tools.sft import losses, ranks, train

USUAL, SEEN = losses.found, [0]


def failing(model: Any, batch: dict[str, Any]) -> Any:
    SEEN[0] += model.training
    if SEEN[0] == 4:
        raise RuntimeError("the second process fails here")
    return USUAL(model, batch)


if __name__ == "__main__":
    if ranks.rank() == 1:
        losses.found = failing
    sys.exit(train.main())
