from __future__ import annotations

from preceptor.core.records import ModelRef, Prompt, Recipe


def test_a_changed_copy_has_its_own_fingerprint() -> None:
    recipe = Recipe(model=ModelRef(spec="scripted"))
    before = recipe.fingerprint
    changed = recipe.model_copy(update={"prompt": Prompt(instruction="Other.")})
    assert changed.fingerprint != before
    assert changed.fingerprint == Recipe.from_json(changed.to_json()).fingerprint
    assert recipe.model_copy().fingerprint == recipe.fingerprint == before
