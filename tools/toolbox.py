"""The toolbox: the tools of a run under their names.

Owns what a teacher is told about them and the checking of a call's arguments. Which tools there are
is the wiring's business, when one is called is the graph's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError

from preceptor.core.blocked import Blocked
from preceptor.core.errors import InputError
from preceptor.core.ports import Evidence, Hindered, Prospector, Tool, ToolResult, ToolSpec
from preceptor.core.prospect import Prospect
from preceptor.core.record import canonical
from preceptor.core.records import ToolCall

MAX_PROBLEMS = 5


def spec(tool: Tool[Any]) -> ToolSpec:
    """Return a tool as a teacher sees it."""
    schema: dict[str, JsonValue] = tool.args.model_json_schema()
    return ToolSpec(tool.name, tool.description, schema, tool.changing)


def signature(args: type[BaseModel]) -> str:
    """Return the arguments on one line: ``field, kind, n=3``."""
    shown = []
    for name, info in args.model_fields.items():
        shown.append(
            name if info.is_required() else f"{name}={info.get_default(call_default_factory=True)!r}"
        )
    return ", ".join(shown) or "no arguments"


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "extra_forbidden":
        return f"{where}: there is no such argument"
    return f"{where}: {error['msg']}"


class Toolbox:
    """Tools by name.

    Args:
        tools: In the order in which a teacher sees them.
        absent: Why a run has no other tools.

    Raises:
        InputError: If two have one name, or one takes arguments it does not name.
    """

    def __init__(self, tools: Iterable[Tool[Any]], absent: Iterable[Blocked] = ()) -> None:
        self._tools: dict[str, Tool[Any]] = {}
        self._absent = tuple(absent)
        self._specs: tuple[ToolSpec, ...] | None = None
        for tool in tools:
            if tool.name in self._tools:
                raise InputError(f"two tools are called {tool.name!r}", "rename one")
            if tool.args.model_config.get("extra") != "forbid":
                raise InputError(f"tool {tool.name!r} takes any argument", 'set extra="forbid"')
            self._tools[tool.name] = tool

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool[Any]:
        if name not in self._tools:
            raise InputError(f"no tool {name!r}", f"the tools are: {', '.join(self._tools)}")
        return self._tools[name]

    def specs(self) -> tuple[ToolSpec, ...]:
        """Return what a teacher is told."""
        if self._specs is None:  # a schema takes pydantic tens of milliseconds
            self._specs = tuple(spec(tool) for tool in self._tools.values())
        return self._specs

    def prospects(self, evidence: Evidence) -> tuple[Prospect, ...]:
        """Return what the tools that can tell expect of calls of theirs, best first."""
        tellers = [tool.prospects for tool in self._tools.values() if isinstance(tool, Prospector)]
        found = [prospect for tell in tellers for prospect in tell(evidence)]
        return tuple(sorted(found, key=lambda p: (-p.gain, p.tool, canonical(p.args))))

    def blocked(self, evidence: Evidence, found: Sequence[Prospect]) -> tuple[Blocked, ...]:
        """Return the moves that cannot be made, or whose tools see nothing in them, and why.

        Args:
            evidence: What the prospects were counted on.
            found: What ``prospects`` returned.
        """
        said = {
            tool.name: tool.hindered(evidence, [p for p in found if p.tool == tool.name])
            for tool in self._tools.values()
            if isinstance(tool, Hindered)
        }
        told = (Blocked(move=name, reason=why) for name, why in said.items() if why)
        return (*self._absent, *told)

    def costly(self, name: str) -> bool:
        """Return whether a tool says that trying it costs something (``costly = True``)."""
        return bool(getattr(self[name], "costly", False))

    def validate(self, call: ToolCall) -> BaseModel:
        """Return the call's arguments, checked.

        Raises:
            InputError: If there is no such tool, or with everything that is wrong with the arguments
                and the right signature; values are not repeated.
        """
        tool = self[call.name]
        try:
            return tool.args.model_validate(call.args)  # type: ignore[no-any-return]
        except ValidationError as error:
            found = error.errors(include_input=False, include_url=False, include_context=False)
            shown = [_problem(e) for e in found[:MAX_PROBLEMS]]
            more = f"; and {len(found) - MAX_PROBLEMS} more" if len(found) > MAX_PROBLEMS else ""
            raise InputError(
                f"{call.name}: {'; '.join(shown)}{more}",
                f"{call.name}({signature(tool.args)})",
            ) from None

    def run(self, call: ToolCall, evidence: Evidence) -> ToolResult:
        """Check a call and do it.

        Raises:
            InputError: If the arguments are wrong, or the tool refuses them.
        """
        return self[call.name].run(self.validate(call), evidence)
