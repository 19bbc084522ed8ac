"""What programs that work in steps share: signatures, and asking within the model's memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex.errors import ContextWindowExceeded, SignatureError
from dspex.programs.trajectory import Trajectory
from dspex.signatures.fields import Field, InputField
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.programs.predict import Predict

__all__ = (
    "agent_signature",
    "ask_within_memory",
    "check_positive",
    "extract_signature",
    "shortened",
    "with_details",
)

_TRAJECTORY: Field = InputField(desc="the steps so far, with what each of them gave")


def agent_signature(
    task: Signature, outputs: Mapping[str, tuple[Field, Any]], action: str
) -> Signature:
    """Return the signature of one step: the task's inputs and the steps so far to other outputs.

    Args:
        task: whose outputs are worked towards.
        outputs: each with its type.
        action: what a step does, as in "call tools".
    """
    wanted = ", ".join(f"`{name}`" for name in task.output_fields)
    instructions = (
        f"{task.instructions}\n\n"
        f"You work in steps, in which you {action}. In each, look at the steps so far and decide "
        f"on the next, until you know all that is needed to give {wanted}. Do not give {wanted} "
        "in a step: that is asked for at the end."
    )
    trajectory = replace(_TRAJECTORY, name="trajectory", annotation=Trajectory)
    made = [
        replace(field, name=name, annotation=annotation)
        for name, (field, annotation) in outputs.items()
    ]
    _check_names(task, {"trajectory", *outputs})
    return Signature.from_fields((*task.input_fields.values(), trajectory, *made), instructions)


def extract_signature(task: Signature) -> Signature:
    """Return the signature that gives a task's outputs from its inputs and all steps."""
    _check_names(task, {"trajectory"})
    return task.append("trajectory", _TRAJECTORY, Trajectory)


async def ask_within_memory(
    predictor: Predict, trajectory: Trajectory, inputs: Mapping[str, Any]
) -> tuple[Prediction, Trajectory]:
    """Ask with the steps so far, without the oldest ones if the model cannot hold them all.

    Returns:
        The answer, and the steps that the model could hold.

    Raises:
        ContextWindowExceeded: it cannot hold the last step alone.
    """
    while True:
        try:
            return await predictor(**inputs, trajectory=trajectory), trajectory
        except ContextWindowExceeded:
            if len(trajectory) <= 1:
                raise

            trajectory = trajectory.without_oldest()


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters; what is left out is said."""
    if len(text) <= limit:
        return text

    head = limit * 3 // 4
    tail = limit - head
    return f"{text[:head]}\n... ({len(text) - limit} characters left out) ...\n{text[-tail:]}"


def with_details(answer: Prediction, **details: Any) -> Prediction:
    """Return a prediction with the outputs of an answer, and how they were found."""
    return Prediction.of({**{name: answer[name] for name in answer}, **details})


def check_positive(**values: int | float | None) -> None:
    """Raise ValueError for the first value that is not more than 0; None is no limit."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be more than 0, got {value!r}")


def _check_names(task: Signature, taken: set[str]) -> None:
    if both := sorted(taken & task.fields.keys()):
        raise SignatureError(
            f"the fields {both} of {str(task)!r} have names that the steps need: call them "
            "something else"
        )
