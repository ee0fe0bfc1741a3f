"""Unreadable answers are counted by their reason, and the advice fits the reason."""

from __future__ import annotations

from preceptor.core.readable import count
from preceptor.core.records import Answer, Decoding, ModelRef, Recipe

JOINT = Recipe(model=ModelRef(spec="x"), mode="joint", decoding=Decoding(max_tokens=50))


def answer(status: str, raw: str = "", written: int | None = None) -> Answer:
    bad = {"pain": status} if status != "ok" else {}
    return Answer.model_validate(
        {
            "example_id": "n",
            "record": None if bad else {"pain": "yes"},
            "status": status,
            "problems": bad,
            "raw": (raw,),
            "completion_tokens": written,
        }
    )


def test_each_reason_is_counted_and_told() -> None:
    cut, unknown = answer("truncated", '{"pa', 50), answer("truncated", '{"pa')
    long, window = answer("truncated"), answer("truncated", '{"pa', 20)
    given = [answer("ok"), cut, unknown, long, window, answer("invalid", "no"), answer("failed")]
    found = count(given, JOINT)
    assert (found.notes, found.valid, found.cut, found.overlong) == (7, 1, 2, 2)
    assert (found.invalid, found.failed) == (1, 1)
    assert found.worrying
    assert not found.unusable
    assert "2 cut off at the answer limit of 50 tokens" in found.counts()
    for step in ("--max-tokens", "longer context", "--mode per_field", "another student"):
        assert step in found.advice()


def test_the_advice_fits_what_went_wrong() -> None:
    loose = JOINT.model_copy(
        update={"mode": "per_field", "decoding": Decoding(max_tokens=50, constrained=False)}
    )
    found = count([answer("invalid", "well …")] * 20, loose)
    assert found.unusable
    assert "--unconstrained" in found.advice()
    assert "--max-tokens" not in found.advice()
    assert "--mode" not in found.advice()


def test_the_shares_at_which_it_matters() -> None:
    assert count([answer("ok")] + [answer("invalid")] * 19, JOINT).unusable
    assert not count([answer("ok")] * 2 + [answer("invalid")] * 19, JOINT).unusable
    assert not count([answer("ok")] * 11 + [answer("invalid")] * 10, JOINT).worrying
    assert not count([], JOINT).worrying
