"""Training: the packed pass is the model's own, and a resumed run goes on as if uninterrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from preceptor.nano import curriculum, path

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from preceptor.nano import model, train  # noqa: E402
from preceptor.nano.muon import orthogonal  # noqa: E402


def trainer(out: Path, tokens: float = 1e9) -> train.Trainer:
    torch.set_num_threads(1)
    return train.Trainer(train.Plan(out, path(), tokens=tokens))


@pytest.mark.parametrize("stage", [2, len(curriculum.STAGES) - 1])
def test_packed_states_equal_the_models_own(tmp_path: Path, stage: int) -> None:
    one = trainer(tmp_path)
    one.at.stage = stage
    pages = one.batches()[0][:3]
    batch = model.collate(pages, 0.1)
    matrix = one.embedding()
    with torch.no_grad():
        one.net.model.embed_tokens.weight.copy_(matrix)
        found = model.states(one.net, matrix, batch)[: len(batch.asked)]
        at = 0
        for page in pages:
            p = len(page.prefix)
            spans = [(page.suffixes[0], first, end) for first, end in page.spoken]
            for k, suffix in enumerate(page.suffixes):
                first, end = (page.starts[k], len(suffix)) if k == 0 else page.labels[k]
                spans.append((suffix, p + first, p + end))
            for suffix, first, end in spans:
                ids = torch.tensor([[*page.prefix, *suffix]])
                wanted = one.net.model(ids).last_hidden_state[0][first - 1 : end - 1]
                torch.testing.assert_close(found[at : at + len(wanted)], wanted, atol=1e-4, rtol=1e-3)
                at += len(wanted)
    assert at == len(found)


def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "a")
    losses = [whole.learn() for _ in range(4)]
    first = trainer(tmp_path / "b")
    assert [first.learn(), first.learn()] == pytest.approx(losses[:2], rel=1e-4)
    first.save()
    second = trainer(tmp_path / "b")
    second.load(tmp_path / "b" / "state.pt")
    assert [second.learn(), second.learn()] == pytest.approx(losses[2:], rel=1e-3)
    assert second.at.tokens == whole.at.tokens


def test_muon_updates_are_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    for shape in ((2, 128, 128), (1, 384, 128), (1, 128, 256)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.quantile(0.05) > 0.5
        assert values.max() < 1.4


def test_words_share_a_form_whatever_their_case_or_space() -> None:
    one = trainer(Path("unused"))
    forms = train.word_forms(one.tokens)
    vocabulary = one.tokens.get_vocab()
    assert len({int(forms[vocabulary[w]]) for w in ("pain", "Ġpain", "ĠPain")}) == 1


def test_stages_are_passed_by_score_or_by_time() -> None:
    good, bad = [True] * curriculum.LAST, [False] * curriculum.LAST
    assert curriculum.next_stage(0, good, 0.0) == 1
    assert curriculum.next_stage(0, bad, 0.0) == 0
    assert curriculum.next_stage(0, bad, 0.5) == 1
    last = len(curriculum.STAGES) - 1
    assert curriculum.next_stage(last, good, 1.0) == last
    lists = (curriculum.PASS, curriculum.FRAME, curriculum.QUESTIONS, curriculum.LATEST)
    assert {len(one) for one in lists} == {last + 1}
