"""What a run would cost, as values: an amount of everything, the labels, the whole plan.

Owns only the records; ``graphs.planning`` fills them.
"""

from __future__ import annotations

from preceptor.core.record import Record


class Cost(Record):
    """An amount of everything; None is unknown.

    Attributes:
        student_calls: Requests to the student.
        student_tokens: Input and output tokens of the student (estimated from characters).
        teacher_turns: Requests to the teacher.
        teacher_tokens: Input and output tokens of the teacher.
        dollars: For student and teacher.
        trainings: Fine-tunings; a part of one where they are fewer than rounds.
        training_tokens: Of their rows, over all epochs.
        training_seconds: Computing, with loading.
        seconds: Of the student's computing and its trainings; the teacher's time comes on top.
    """

    student_calls: int
    student_tokens: int
    teacher_turns: int
    teacher_tokens: int
    dollars: float | None
    trainings: float = 0
    training_tokens: int = 0
    training_seconds: float | None = 0.0
    seconds: float | None


class Labels(Record):
    """What it would cost to have the notes labelled that nobody has, by the model that labels.

    Attributes:
        model: Which.
        notes: The unlabelled ones of one look, and the shown train notes that it is measured on.
        calls: Requests.
        tokens: Input and output.
        dollars: None if the price is unknown.
        batch: Whether they would go in a batch.
    """

    model: str
    notes: int
    calls: int
    tokens: int
    dollars: float | None
    batch: bool


class Plan(Record):
    """What a run would cost.

    Attributes:
        task: The task.
        student: The student.
        teacher: The teacher.
        metric: What the run would be judged by.
        mode: One call per field, or one for all.
        notes: Notes per split.
        calls_per_note: Student calls for one note.
        rounds: The most rounds.
        likely_rounds: Those of a run of this kind.
        seconds_per_call: As measured; None if nothing was measured.
        round_likely: One round.
        round_worst: Likewise.
        likely: The whole run.
        worst: The whole run, within the limits of the budget.
        stopped_by: The limits of the budget that the worst case would meet.
        likely_stopped_by: Those that the likely run would meet, too.
        unpriced: Models whose price is not known.
        turn_tokens: Input tokens of one turn of a chat teacher, from a brief of this task.
        training: Why no training will be made, if the move is offered and something is in the way.
        labels: What labels would cost; they are in no other figure, since few runs ask for them.
        max_tokens: The longest answer to one call, in tokens.
        tight: Why gold itself does not fit that, and what to do; empty if it does.
    """

    task: str
    student: str
    teacher: str
    metric: str
    mode: str
    notes: dict[str, int]
    calls_per_note: int
    rounds: int
    likely_rounds: int
    seconds_per_call: float | None
    round_likely: Cost
    round_worst: Cost
    likely: Cost
    worst: Cost
    stopped_by: tuple[str, ...] = ()
    likely_stopped_by: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()
    turn_tokens: int = 0
    training: str = ""
    labels: Labels | None = None
    max_tokens: int = 0
    tight: str = ""
