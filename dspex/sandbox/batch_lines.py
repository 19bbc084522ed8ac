"""Read the lines of a batch when it comes, and answer them when its results are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from dspex.sandbox.batches import Batch, Line
from dspex.sandbox.demands import check_model, make_reply
from dspex.sandbox.embedding import EMBEDDING_ID
from dspex.sandbox.exchange import Ask, Problem, RequestError
from dspex.sandbox.wires import ChatWire, EmbeddingWire, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex.sandbox.state import State

__all__ = ("answer_line", "new_batch", "read_line")


def read_line(state: State, identity: str, wire: ChatWire | EmbeddingWire, body: object) -> Line:
    """Return a line; what is wrong with its body is the line's problem, not the batch's."""
    try:
        wanted = wire.read(orjson.dumps(body), Target())
        if isinstance(wanted, Ask):
            check_model(state, wanted.model)
            return Line(identity, wire, replace(wanted, stream=False))

        check_model(state, wanted.model, EMBEDDING_ID)
        return Line(identity, wire, wanted)
    except RequestError as exc:
        return Line(identity, wire, exc.problem)


def new_batch(state: State, wire: str, lines: Sequence[Line], details: Mapping[str, Any]) -> Batch:
    """Return a batch that starts now, under the script of now."""
    options = state.script.batch
    return Batch(
        number=len(state.batches.batches) + 1,
        wire=wire,
        lines=lines,
        created_s=state.now_s(),
        finish_s=options.finish_s,
        expire_s=options.expire_s,
        failed_share=options.failed,
        seed=state.script.seed,
        details=details,
    )


def answer_line(state: State, batch: Batch, index: int) -> tuple[bytes | None, Problem | None]:
    """Return a processed line's body, or its problem; what is answered is billed."""
    line = batch.lines[index]
    if problem := batch.problem(index):
        return None, problem

    wire, wanted = line.wire, line.wanted
    if isinstance(wire, ChatWire) and isinstance(wanted, Ask):
        reply = make_reply(state, wanted)
        state.ledger.bill(batch.wire, reply.usage.input_tokens, reply.usage.output_tokens)
        return wire.body(replace(reply, number=index)), None

    assert isinstance(wire, EmbeddingWire)
    assert not isinstance(wanted, Ask | Problem)
    state.ledger.bill(batch.wire, wanted.input_tokens, 0)
    return wire.body(wanted), None
