"""The arguments of ``fine_tune``: owns what a teacher may ask of a training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from preceptor.core.record import Record
from preceptor.tools.distill.weak import WeakUse
from preceptor.tools.sft.job import PROFILES, Hyper, Method, ProfileName


class Changes(Record):
    """Hyper-parameters that differ from the profile's; see ``Hyper`` for what they mean."""

    method: Method | None = None
    rank: int | None = Field(default=None, ge=4, le=64)
    alpha: int | None = Field(default=None, ge=4, le=256)
    rate: float | None = Field(default=None, ge=1e-6, le=1e-2)
    epochs: int | None = Field(default=None, ge=1, le=20)
    batch: int | None = Field(default=None, ge=1, le=128)
    warmup: float | None = Field(default=None, ge=0, le=0.5)
    validation: float | None = Field(default=None, ge=0, le=0.4)
    patience: int | None = Field(default=None, ge=0, le=10)
    frame: float | None = Field(default=None, ge=0, le=1)
    probe: bool | None = None


class FineTuneArgs(Record):
    """The arguments of ``fine_tune``.

    Attributes:
        profile: ``quick``, ``standard`` or ``thorough``.
        change: Hyper-parameters that differ from the profile's.
        fields: The fields to train; all if empty.
        data: What to learn from: gold answers, weak labels, or both; of a note with both, gold.
        weak: Which weak labels, and what of them; needed where ``data`` says so.
        weight_errors: How often a row that the student got wrong is shown per epoch.
        defaults: Per field, at most so many rows that say «nothing found» for each other row; all of
            them if not given.
        recombined: So many notes are put together anew from sentences of the gold notes, and learned
            from beside them (``recombine``); by the profile for small models if not given, else none.
        together: Whether all fields are asked in one call from then on, if they are not yet: then one
            row per note is learned, which reads fewer tokens then and later. Not with an index.
        reason: Why, in one line, for the trace.
        expected_gain: What the teacher expects on train, in points of [0, 1].
    """

    profile: ProfileName = "standard"
    change: Changes = Changes()
    fields: tuple[str, ...] = ()
    data: Literal["gold", "weak", "both"] = "gold"
    weak: WeakUse | None = None
    weight_errors: int = Field(default=1, ge=1, le=5)
    defaults: float | None = Field(default=None, ge=0.25, le=10)
    recombined: int | None = Field(default=None, ge=0, le=20_000)
    together: bool = False
    reason: str = Field(default="", max_length=400)
    expected_gain: float | None = Field(default=None, ge=-1, le=1)

    def hyper(self, *, whole: bool = False, many: bool = False, skip: tuple[str, ...] = ()) -> Hyper:
        """Return the profile with the changes.

        Args:
            whole: Whether all weights are trained unless ``change`` says otherwise.
            many: Whether there are notes put together anew. An epoch is long then, and one is enough
                (two if ``thorough``); no patients are left aside to tell when to stop.
            skip: Linear layers that get no adapters.
        """
        known = PROFILES[self.profile].model_dump()
        if whole:
            known["method"] = "full"
        if many:
            long = self.profile == "thorough"
            known |= {"epochs": 2 if long else 1, "validation": 0.0, "batch": 16}
        changed = {k: v for k, v in self.change.model_dump().items() if v is not None}
        return Hyper.model_validate({**known, **changed, "skip": skip})
