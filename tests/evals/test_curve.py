"""The numbers of a learning curve, its page and its plot."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from preceptor.core.fields import FieldSpec, LabelField, ListField
from preceptor.core.records import Answer, Example, Gold
from preceptor.evals import curve, curve_page

FIELDS: tuple[FieldSpec, ...] = (
    LabelField(name="cough", values=("yes", "no")),
    ListField(name="drugs"),
)


def notes() -> tuple[Example, ...]:
    return tuple(
        Example(
            id=f"n{i}",
            group=f"p{i // 2}",
            text="x",
            gold={"cough": "yes" if i % 2 else "no", "drugs": ["aspirin"] if i % 4 == 0 else []},
        )
        for i in range(20)
    )


def run(cough: str, broken: int = 0, trained: int = 0) -> curve.Run:
    answers = []
    for i, note in enumerate(notes()):
        said: Gold = {"cough": cough, "drugs": (note.gold or {})["drugs"]}
        if i < broken:
            answers.append(
                Answer(
                    example_id=note.id,
                    record={"drugs": said["drugs"]},
                    status="invalid",
                    problems={"cough": "invalid"},
                )
            )
        else:
            answers.append(Answer(example_id=note.id, record=said))
    return curve.Run(notes(), tuple(answers), FIELDS, trained=trained, patients=trained // 2)


def perfect() -> curve.Run:
    answers = tuple(Answer(example_id=e.id, record=e.gold) for e in notes())
    return curve.Run(notes(), answers, FIELDS, trained=10, patients=5)


def test_a_row_averages_its_seeds() -> None:
    zero = run("no")
    row = curve.row("trained", "10 notes", [perfect(), run("no", trained=12)], zero)
    assert row.by_seed == (1.0, 0.75)
    assert row.score.value == pytest.approx(0.875)
    assert row.score.low <= 0.875 <= row.score.high
    assert (row.notes, row.patients, row.seeds) == (10, 5, 2)
    assert row.gain is not None
    assert row.gain.value == pytest.approx(0.125)


def test_f1_pools_what_was_found_and_macro_counts_labels_alike() -> None:
    row = curve.row("zero_shot", "untouched", [run("no")])
    # Of 10 coughs and 5 drugs, the drugs alone are found: 2 * 5 / (15 + 5).
    assert row.micro_f1.value == pytest.approx(0.5)
    assert row.micro_f1.low < 0.5 < row.micro_f1.high
    # cough: F1 of «no» is 2/3, of «yes» 0; drugs: 1.
    assert row.macro_f1 == pytest.approx((1 / 3 + 1) / 2)
    assert curve.row("trained", "all right", [perfect()]).micro_f1.value == 1


def test_failures_are_a_column_and_not_left_out_of_the_score() -> None:
    row = curve.row("trained", "10 notes", [run("no", broken=5), run("no")])
    assert row.failures == pytest.approx(5 / 40)
    assert row.by_seed[0] < row.by_seed[1]


def made(failures: int = 3) -> curve.Curve:
    zero = run("no", failures)
    return curve.Curve(
        task="small <&>",
        synthetic=True,
        student="nano",
        profile="quick",
        constrained=False,
        notes=20,
        patients=10,
        split_seed=0,
        left_out=2,
        rows=(
            curve.row("zero_shot", "nano, untouched", [zero]),
            curve.row("trained", "10 notes", [perfect(), run("no", trained=10)], zero),
            curve.row("larger", "ollama:big, untouched", [run("yes")], zero),
        ),
    )


def test_the_page_says_what_was_done() -> None:
    page = curve_page.markdown(made(), "preceptor curve small")
    assert "Written by `preceptor curve small`." in page
    assert "Synthetic data." in page
    assert "answers are free" in page
    assert "2 train notes nearly repeat" in page
    head, rule, *rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in (head, rule, *rows)} == {12}
    assert "parse failures" in head
    assert "15.0 %" in rows[0]
    assert "0.750 to 1.000" in rows[1]
    assert "ollama:big" in rows[2]
    assert curve.Curve.from_json(made().to_json()) == made()


def test_the_legend_is_of_the_fields_that_the_task_has() -> None:
    both = made().model_copy(update={"labels": ("cough",), "lists": ("drugs",)})
    page = curve_page.markdown(both)
    assert "whether the label is right, of a list F1 of the items" in page
    assert "«nothing found» and the items" in page
    lists = curve_page.markdown(both.model_copy(update={"labels": ()}))
    assert "Scores are accuracy, whatever metric the task's runs have" in lists
    assert "The score of a field is F1 of the items" in lists
    assert "Micro F1 pools the items" in lists
    assert "label" not in lists
    labels = curve_page.markdown(both.model_copy(update={"lists": ()}))
    assert "items" not in labels
    assert "items" not in curve_page.markdown(made()), "a curve that was kept from before"


def test_the_page_says_what_differs_from_the_profile() -> None:
    page = curve_page.markdown(made().model_copy(update={"change": {"method": "full", "rate": 0.002}}))
    assert "Profile `quick`, method full, rate 0.002;" in page


def test_sizes_that_double_stand_equally_far_apart() -> None:
    rows = tuple(
        curve.row("trained", f"{n} notes", [run("no", trained=n)]) for n in (50, 100, 200, 2898)
    )
    root = ElementTree.fromstring(curve_page.svg(made().model_copy(update={"rows": rows})))
    circles = root.iter("{http://www.w3.org/2000/svg}circle")
    at = [float(c.attrib["cx"]) for c in circles if c.attrib["r"] == "4"]
    assert at[1] - at[0] == pytest.approx(at[2] - at[1], abs=0.2)
    assert at[1] - at[0] > 60
    assert curve_page.LEFT < at[0] < at[3] < curve_page.WIDTH - curve_page.RIGHT


@pytest.mark.parametrize(("score", "right"), [(0.1, True), (0.9, False)])
def test_the_name_of_a_line_stands_where_no_point_is(score: float, right: bool) -> None:
    def placed(kind: curve.Kind, notes: int, value: float) -> curve.Row:
        found = curve.row(kind, f"{kind} {notes}", [run("no", trained=notes)])
        at = found.score.model_copy(update={"value": value})
        return found.model_copy(update={"score": at})

    rows = (placed("trained", 10, 0.2), placed("trained", 99, 0.8), placed("zero_shot", 1, score))
    root = ElementTree.fromstring(curve_page.svg(made().model_copy(update={"rows": rows})))
    [name] = [e for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text == "zero_shot 1"]
    assert (name.attrib.get("text-anchor") == "end") == right


def test_the_plot_is_a_drawing_with_every_row() -> None:
    root = ElementTree.fromstring(curve_page.svg(made()))
    texts = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("small <&>" in text for text in texts)
    assert {"10", "nano, untouched", "ollama:big, untouched"} <= set(texts)
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3
    assert all(0 <= float(c.attrib["cy"]) <= curve_page.HEIGHT for c in circles)
