"""Own the wordings of rules and label sets: what a question says beside its hints.

As in ``phrases``, every pool has wordings for training and wordings that only the evaluation sees.
``{L}`` is the place of a label.
"""

from __future__ import annotations

from preceptor.nano.phrases import Pool, pool

DROP: dict[str, Pool] = {
    "F": pool(
        """
        family history does not count
        relatives do not count
        what a family member has does not count
        ignore family history
        only the patient counts, not the family
        """,
        """
        family members do not count
        do not count family history
        """,
    ),
    "H": pool(
        """
        history does not count
        past history does not count
        past episodes do not count
        previous episodes do not count
        ignore past history
        only current problems count
        """,
        """
        earlier episodes do not count
        do not count past history
        """,
    ),
    "P": pool(
        """
        planned or possible does not count
        possible or planned does not count
        warnings do not count
        warnings and advice do not count
        ignore what may happen
        hypothetical mentions do not count
        """,
        """
        what is only possible does not count
        do not count warnings
        """,
    ),
    "M": pool(
        """
        mild does not count
        mild or slight does not count
        ignore mild complaints
        """,
        """
        slight or mild does not count
        """,
    ),
}

COUNT: dict[str, Pool] = {
    "F": pool(
        """
        family history counts as {L}
        family history counts
        relatives count as {L}
        a family member with it counts as {L}
        """,
        """
        family members count as {L}
        count family history as {L}
        """,
    ),
    "H": pool(
        """
        history counts as {L}
        past history counts as {L}
        past episodes count as {L}
        previous episodes count as {L}
        """,
        """
        earlier episodes count as {L}
        count past history as {L}
        """,
    ),
    "P": pool(
        """
        planned or possible counts as {L}
        possible counts as {L}
        warnings count as {L}
        warnings and advice count as {L}
        """,
        """
        what is only possible counts as {L}
        count warnings as {L}
        """,
    ),
    "M": pool(
        """
        mild counts as {L}
        mild counts
        mild or slight counts as {L}
        """,
        """
        slight or mild counts as {L}
        """,
    ),
}

ORDER = {
    "later": pool(
        """
        if statements conflict, the later one counts
        the later statement counts
        the last statement wins
        """,
        """
        when statements conflict, the last one counts
        """,
    ),
    "first": pool(
        """
        if statements conflict, the first one counts
        the first statement counts
        the earlier statement wins
        """,
        """
        when statements conflict, the first one counts
        """,
    ),
}

QUOTE_DROP = ('"{}" does not count', '"{}" does not count', '"{}" does not count', 'ignore "{}"')
QUOTE_COUNT = ('"{}" counts as {L}', '"{}" counts as {L}', '"{}" counts as {L}', '"{}" means {L}')
BINARY: tuple[tuple[str, str], ...] = (
    ("yes", "no"), ("true", "false"), ("present", "absent"), ("positive", "negative"),
    ("mentioned", "none"), ("stated", "unstated"), ("present", "none"), ("noted", "missing"),
    ("active", "excluded"), ("observed", "not observed"), ("reported", "not reported"),
    ("pos", "neg"), ("1", "0"),
)  # fmt: skip
BINARY_HELD = (("found", "not found"), ("has", "lacks"), ("confirmed", "unconfirmed"))
THREE: tuple[tuple[str, str, str], ...] = (
    ("present", "absent", "unknown"), ("present", "absent", "unknown"), ("yes", "no", "unknown"),
    ("yes", "no", "not mentioned"), ("positive", "negative", "missing"), ("pos", "neg", "unk"),
    ("affirmed", "denied", "unmentioned"), ("true", "false", "unclear"),
    ("present", "absent", "not mentioned"), ("confirmed", "excluded", "undetermined"),
    ("active", "ruled out", "not stated"), ("stated", "denied", "missing"),
    ("reported", "denied", "not documented"), ("current", "none", "unknown"),
    ("yes", "never", "unclear"), ("observed", "negative", "uncertain"),
)  # fmt: skip
THREE_HELD = (
    ("found", "lacks", "no information"), ("has", "has not", "unmentioned"),
    ("mentioned", "resolved", "missing"), ("true", "negative", "not documented"),
)  # fmt: skip
EXTRA: tuple[tuple[str, str], ...] = (
    ("H", "past"), ("H", "former"), ("H", "history"), ("P", "possible"), ("P", "planned"),
    ("P", "hypothetical"), ("F", "family"), ("M", "mild"),
)  # fmt: skip

MEANING: dict[str, Pool] = {
    "A": pool(
        """
        stated
        reported
        affirmed
        the patient has it
        the note says so
        stated as present
        mentioned as present
        reported as present
        has it
        """,
        """
        the note states it
        affirmed in the note
        """,
    ),
    "N": pool(
        """
        denied
        stated as absent
        negated
        the patient does not have it
        the note denies it
        denied or resolved
        does not have it
        """,
        """
        the note says no
        reported as absent
        """,
    ),
    "U": pool(
        """
        not mentioned
        not stated
        the note does not say
        no information
        not in the note
        nothing said
        """,
        """
        not mentioned in the note
        nothing stated
        """,
    ),
    "NU": pool(
        """
        denied or not mentioned
        not stated
        not present
        everything else
        otherwise
        absent or not mentioned
        """,
        """
        anything else
        not mentioned or denied
        """,
    ),
    "H": pool("earlier, not now\nonly in the past\nhistory of it", "in the past"),
    "P": pool("may happen\nplanned or possible\npossible, not certain", "only possible"),
    "F": pool("in the family\na relative has it", "in a relative"),
    "M": pool("mild\nslight or mild", "slight"),
}

NOW = pool(
    """
    has it now
    present now
    currently present
    the patient has it today
    there at this visit
    """,
    """
    present at the moment
    the patient has it now
    """,
)
"""What «affirmed» means where history does not count."""
