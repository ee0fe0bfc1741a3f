"""The loop: prepare → baseline → diagnose → teach (→ approve) ⇄ act → evaluate → judge → … → report.

Owns the order of the nodes, and running and resuming them under LangGraph's SQLite checkpointer with
``durability="sync"`` (the default may run a node again that was already done). ``graph`` is what
``langgraph.json`` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from preceptor.core.errors import InputError, StoreError
from preceptor.graphs import approval, checkpoint, ending, nodes, stops, teaching
from preceptor.graphs.session import Session
from preceptor.graphs.state import RunState

Node = Callable[[Session, RunState], RunState]
SessionOf = Callable[[RunnableConfig], Session]


class Entered(Protocol):
    """A node as LangGraph calls it."""

    def __call__(self, state: RunState, config: RunnableConfig) -> RunState:
        """Run it."""
        ...


Loop = CompiledStateGraph[RunState, None, RunState, RunState]

NODES: dict[str, Node] = {
    "prepare": nodes.prepare,
    "baseline": nodes.baseline,
    "diagnose": nodes.diagnose,
    "teach": teaching.teach,
    "approve": approval.approve,
    "act": teaching.act,
    "evaluate": nodes.evaluate,
    "judge": nodes.judge,
    "finish": ending.finish,
    "report": ending.report,
}


def builder(session_of: SessionOf) -> StateGraph[RunState]:
    """Return the graph, not yet compiled.

    Args:
        session_of: Gives the session that the nodes of one invocation work with.
    """
    made = StateGraph(RunState)
    for name, node in NODES.items():
        made.add_node(name, _entered(node, session_of))
    made.add_edge(START, "prepare")
    made.add_edge("prepare", "baseline")
    made.add_conditional_edges("baseline", _or_finish("diagnose"), ["diagnose", "finish"])
    made.add_conditional_edges("diagnose", _or_finish("teach"), ["teach", "finish"])
    made.add_edge("teach", "approve")
    made.add_conditional_edges("approve", approval.after_approve, ["act", "teach"])
    made.add_conditional_edges("act", teaching.after_act, ["teach", "evaluate", "finish"])
    made.add_edge("evaluate", "judge")
    made.add_conditional_edges("judge", _or_finish("diagnose"), ["diagnose", "finish"])
    made.add_edge("finish", "report")
    made.add_edge("report", END)
    return made


def _or_finish(onward: str) -> Callable[[RunState], str]:
    def route(state: RunState) -> str:
        return "finish" if state["stop"] else onward

    return route


def _entered(node: Node, session_of: SessionOf) -> Entered:
    def enter(state: RunState, config: RunnableConfig) -> RunState:
        session = session_of(config)
        stops.check_interrupt(session)
        return node(session, state)

    return enter


Decide = Callable[[approval.Proposal], approval.Decision | None]
"""A person: answers a proposal, or None if nobody is there to answer."""


def run(session: Session, decide: Decide | None = None) -> RunState:
    """Run a fresh run, or go on with one that was left, to its end.

    Args:
        session: The run.
        decide: Who answers where approval is asked for.

    Returns:
        The final state.

    Raises:
        Interrupted: If a person stopped it, or is waited for (``approval.Waiting``); call ``run`` again
            on the reopened session.
    """
    with checkpoint.saver(session.store.path) as saver:
        loop: Loop = builder(lambda _: session).compile(checkpointer=saver)
        config: RunnableConfig = {"configurable": {"thread_id": checkpoint.THREAD}}
        begun = saver.get_tuple(config) is not None
        given: RunState | Command[str] | None = None if begun else {"round": 0, "stop": ""}
        while True:
            for _ in loop.stream(given, config, stream_mode="updates", durability="sync"):
                pass
            snapshot = loop.get_state(config)
            asked = approval.proposal_of(snapshot.interrupts)
            if not asked:
                return cast("RunState", snapshot.values)
            given = _answered(session, asked, decide)


def _answered(session: Session, asked: str, decide: Decide | None) -> Command[str]:
    proposal = session.store.artefacts.get_record(asked, approval.Proposal)
    decision = decide(proposal) if decide else None
    if decision is None:
        raise approval.Waiting(
            f"run {session.store.name!r} waits for your word on {proposal.call.name!r} "
            f"in round {proposal.round}",
            f"answer it with: preceptor approve {session.store.path}",
        )
    approval.check(session, proposal, decision)
    return approval.answer(session, decision)


def state_of(folder: Path) -> tuple[RunState, tuple[str, ...]]:
    """Return (state, nodes that come next) of the run in ``folder``; no next node: it is done.

    Raises:
        StoreError: If there is no checkpoint.
    """
    if not checkpoint.exists(folder):
        raise StoreError(f"run {folder.name!r} has no checkpoint", "start it anew: preceptor refine")
    with checkpoint.saver(folder) as saver:
        loop = builder(_no_session).compile(checkpointer=saver)
        snapshot = loop.get_state({"configurable": {"thread_id": checkpoint.THREAD}})
        return cast("RunState", snapshot.values), snapshot.next


def _no_session(config: RunnableConfig) -> Session:
    raise InputError("this graph has no session", "give configurable.run: the folder of a run")


def graph(config: RunnableConfig) -> Loop:
    """Return the compiled loop for LangGraph's own tools.

    Args:
        config: ``configurable.run`` names the folder of a run that ``preceptor refine`` made.
    """
    from preceptor.core import quiet
    from preceptor.graphs import wiring

    # A tracer that is on when the graph is asked stays on in it; the session comes later.
    quiet.hush("open", os.environ)
    opened: list[Session] = []
    stack = ExitStack()

    def session_of(given: RunnableConfig) -> Session:
        named = {**config.get("configurable", {}), **given.get("configurable", {})}
        folder = named.get("run")
        if not folder:
            return _no_session(given)
        if not opened:
            opened.append(stack.enter_context(wiring.reopen(Path(str(folder)))))
        return opened[0]

    return builder(session_of).compile()


def exit_code(state: RunState) -> int:
    """Return the exit code that a finished run deserves."""
    return stops.EXIT_CODES.get(state["stop"], 0)
