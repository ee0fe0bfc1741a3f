"""Own the sentence templates of the task generator.

Every pool is a pair: what training sees, and what only the evaluation sees. ``{}`` is the place of
the thing that is stated. What is held out is wording, never tokens.
"""

from __future__ import annotations

from typing import NamedTuple


class Pool(NamedTuple):
    """Wordings for training and wordings kept for evaluation."""

    train: tuple[str, ...]
    held: tuple[str, ...]

    def pick(self, held: bool) -> tuple[str, ...]:
        """Return the held-out wordings, or those for training."""
        return self.held if held else self.train


def pool(train: str, held: str) -> Pool:
    """Return a pool from lines of text."""

    def lines(text: str) -> tuple[str, ...]:
        return tuple(line.strip() for line in text.strip().splitlines() if line.strip())

    return Pool(lines(train), lines(held))


KINDS = ("A", "N", "H", "F", "P", "M")
"""Affirmed, negated, history, family, planned or possible, affirmed but mild."""

STATE: dict[str, Pool] = {
    "A": pool(
        """
        {S} reports {}
        {S} complains of {}
        {S} c/o {}
        {S} endorses {}
        {S} notes some {}
        {S} notes {}
        {S} has {}
        {S} is having {}
        {S} presents with {}
        {S} w/ {}
        {S} still has {}
        {S} developed {} last week
        {S} continues to have {}
        {S} describes {}
        {S} mentions {}
        {S} admits to {}
        {S} is bothered by {}
        {S} suffers from {}
        {S} experiences {}
        {S} struggles with {}
        {S} says that there is {}
        ongoing {}
        persistent {} since the last visit
        positive for {}
        + {}
        {} is present
        {} continues
        {} today
        {} has worsened
        {} is getting worse
        {} for {n} days
        {} x {n} weeks
        {} since {d}
        {} noted on exam
        {}: yes
        {}: present
        {} grade {g}
        main concern is {}
        troubled by {} at night
        new {} this week
        examination shows {}
        i have {}
        i've had {} since monday
        i am getting {} again
        my {} is bad
        i can't stand the {}
        there was {} after the first dose
        seen for {}
        admitted with {}
        """,
        """
        {S} came in because of {}
        {S} tells us about {}
        {S} is dealing with {} at present
        {} remains a problem
        there is {}
        {S} acknowledges {}
        increasing {} over the past {n} days
        i keep having {}
        """,
    ),
    "N": pool(
        """
        {S} denies {}
        {S} denies any {}
        {S} denied {}
        {S} reports no {}
        {S} has no {}
        {S} does not have {}
        {S} does not report {}
        {S} did not have {}
        {S} is without {}
        {S} is free of {}
        {S} never had {}
        no {}
        no evidence of {}
        no signs of {}
        no complaints of {}
        no further {}
        no more {}
        no new {}
        not {}
        w/o {}
        without {}
        negative for {}
        - {}
        absence of {}
        {} has resolved
        {} resolved
        {} is gone
        {} denied
        {} is absent
        {}: no
        {}: none
        {}: absent
        {} negative
        {} not seen
        {} was ruled out
        {} has cleared up completely
        {} grade 0
        {S} says there is no {}
        i have no {}
        i don't have {}
        i never got {}
        my {} went away
        """,
        """
        {S} has not noticed any {}
        {S} specifically denies {}
        there is no {}
        {} could not be found
        {} no longer an issue
        {S} lacks {}
        examination reveals no {}
        i haven't had any {}
        """,
    ),
    "H": pool(
        """
        h/o {}
        history of {}
        hx of {}
        past history of {}
        {S} had {} in {y}
        {S} had {} as a child
        previous {}
        previously had {}
        prior {} in {y}
        PMH: {}
        {} {n} years ago
        past medical history includes {}
        {S} used to have {}
        former {}
        {} in the past
        remote {}
        """,
        """
        {S} once had {}, {n} years back
        known history of {}
        earlier episode of {} in {y}
        past {}
        """,
    ),
    "F": pool(
        """
        mother had {}
        father has {}
        mother with {}
        sister has {}
        brother had {}
        family history of {}
        FHx: {}
        family history: {} in the father
        {} runs in the family
        {} in an aunt
        maternal grandmother had {}
        his wife has {}
        her husband reports {}
        daughter has {}
        FH positive for {}
        uncle suffers from {}
        """,
        """
        grandfather was known for {}
        {} in two relatives
        a cousin has {}
        family hx: mother {}
        """,
    ),
    "P": pool(
        """
        return if {} develops
        call if {}
        warned about {}
        may cause {}
        might develop {}
        could get {}
        at risk for {}
        risk of {} was discussed
        counselled about {}
        watch for {}
        monitor for {}
        side effects such as {} were explained
        possible {}
        ? {}
        r/o {}
        to prevent {}
        in case of {} call the clinic
        planned treatment can lead to {}
        advised that {} may occur
        if {} occurs, come back
        expect {} after week {n}
        """,
        """
        told to come back for {}
        {} is a known side effect and was explained
        should {} appear, contact us
        potential for {} was reviewed
        """,
    ),
    "M": pool(
        """
        mild {}
        {S} has mild {}
        slight {}
        {S} reports slight {}
        minimal {}
        {S} notes a little {}
        """,
        """
        {S} has very mild {}
        some slight {} only
        """,
    ),
}

MIXED = pool(
    """
    {S} denies {N} but reports {A}
    {S} denies {N} but has {A}
    {S} reports {A} but denies {N}
    {S} has {A} but no {N}
    no {N}, but {A} is present
    {A} without {N}
    {S} c/o {A}, denies {N}
    {S} has {A} and no {N}
    {N} has resolved but {A} persists
    {S} no longer has {N} but still has {A}
    negative for {N}, positive for {A}
    {A}; no {N}
    """,
    """
    although {S} denies {N}, there is {A}
    {A} is reported while {N} is denied
    """,
)

SUBJECTS = ("pt", "patient", "the patient", "he", "she", "pt.", "Mr. {w}", "Mrs. {w}", "this man")

FILLERS: tuple[str, ...] = (
    "vitals: BP {a}/{b}, HR {b}, temp 98.{g}", "weight {b} kg", "weight is stable at {b} kg",
    "s/p RT {b} Gy in {n} fx", "continue {w} {a} mg daily", "takes {w} {n} mg bid",
    "f/u in {n} weeks", "RTC in {n} months", "seen with {w} today", "labs reviewed",
    "tolerating treatment well", "lives with {w}", "ECOG {g}", "{a} y/o seen in clinic",
    "no changes to the plan", "will see {w} next week", "discussed with Dr. {w}",
    "completed cycle {g} on {d}", "imaging from {d} reviewed", "eating {w} and {w}",
    "works as a {w}", "hgb {n}.{g}", "refills sent to {w}", "all questions answered",
    "here for follow up of {w}", "the {w} was changed on {d}", "{w} ordered", "{w} and {w} as before",
)  # fmt: skip

SECTIONS: dict[str, tuple[str, ...]] = {
    "A": ("Subjective:", "HPI:", "Interval history:", "S:", "Complaints:"),
    "N": ("ROS:", "Review of systems:", "HPI:", "Exam:"),
    "H": ("PMH:", "Past history:"), "F": ("FHx:", "Family history:"),
    "P": ("Plan:", "Counselling:", "Assessment and plan:"), "M": ("HPI:", "Subjective:"),
    "X": ("Plan:", "Vitals:", "Assessment:", "Social:", "Course:"),
}  # fmt: skip

CUES = (
    "{w} about", "{w} by", "has {w} with", "is {w} for", "{w} of the", "got {w} from", "{w} no",
    "hardly any", "barely any", "no longer bothered by", "less and less", "comes and goes:",
    "{w} {w}", "{w}", "some days", "{w} and", "almost no", "touch of", "a bit of", "occasional",
)  # fmt: skip

INSTRUCTIONS: tuple[str, ...] = (
    "Read the note and fill in the field. Answer in JSON.",
    "Read the note and fill in the field. Answer in JSON.",
    "Read the note and answer for the field in JSON.",
    "Fill in the field from the note. Reply with JSON only.",
    "Extract the field from the note. Answer in JSON.",
    "You read clinical notes. Fill in the field asked for, as JSON.",
    "Extract structured data. Answer in JSON.",
)
