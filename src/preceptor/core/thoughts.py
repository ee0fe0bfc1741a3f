"""What a model thinks aloud before it answers, and where the answer begins.

Owns the marks that families of models put around their thoughts, where no server has taken these out:
DeepSeek, Qwen and most others ``<think>``, EXAONE ``<thought>``, Seed ``<seed:think>``, Magistral
``[THINK]``, Kimi ``◁think▷``, Command A ``<|START_THINKING|>``, OpenThinker ``<|begin_of_thought|>``,
Apertus ``<|inner_prefix|>``, Gemma 4 ``<|channel>``, gpt-oss ``<|channel|>analysis``, and Granite in
plain words. Many templates open the thoughts in the prompt, so that only their end is in the text.
"""

from __future__ import annotations

import re

_NAMES = r"(?:[a-z]+:)?(?:think|thinking|thoughts?|reasoning|reflection|analysis)"
_END = re.compile(
    rf"</\s*{_NAMES}\s*>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|end_of_thought\|>"
    r"|<\|inner_suffix\|>|<channel\|>|<\|channel\|>\s*final\b(?:(?!<\|channel\|>)[^{])*?<\|message\|>",
    re.IGNORECASE,
)
_BEGIN = re.compile(
    rf"<\s*{_NAMES}\s*>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|begin_of_thought\|>"
    r"|<\|inner_prefix\|>|<\|channel>|<\|channel\|>",
    re.IGNORECASE,
)
_SPOKEN = (
    # gpt-oss, where a server dropped the special tokens but kept the words between them.
    (re.compile(r"\s*(?:analysis|commentary)"), re.compile(r"assistantfinal(?:\s*json(?=\s*\{))?")),
    (
        re.compile(r"\s*here(?:'s| is) my thought process:", re.IGNORECASE),
        re.compile(r"here(?:'s| is) my response:", re.IGNORECASE),
    ),
)


def answer_in(text: str) -> str:
    """Return what of a text is the answer.

    Everything up to the last end of thoughts is cut. Of thoughts that never end only what stands
    before them is left.
    """
    for begin, end in _SPOKEN:
        if begin.match(text):
            text = _after_last(text, end)
    text = _after_last(text, _END)
    unfinished = _BEGIN.search(text)
    return text[: unfinished.start()] if unfinished else text


def _after_last(text: str, end: re.Pattern[str]) -> str:
    at = 0
    for found in end.finditer(text):
        at = found.end()
    return text[at:]
