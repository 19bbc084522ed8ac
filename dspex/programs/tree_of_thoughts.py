"""A search over steps of thought: breadth by depth, pruned by a judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex.errors import ParseError
from dspex.messages import Sampling
from dspex.programs.predict import Predict
from dspex.programs.program import Program
from dspex.programs.sampling import run_all, sampled
from dspex.signatures.fields import Field, InputField, OutputField
from dspex.signatures.prediction import Prediction
from dspex.signatures.signature import Signature, SignatureLike, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex.clients.protocol import ModelClient

__all__ = ("TreeOfThoughts",)

_SO_FAR: Field = InputField(desc="the steps of thought so far, in order")
_THOUGHT: Field = OutputField(desc="the next step of thought: one, not the whole way")
_SCORE: Field = OutputField(desc="0 is a dead end, 10 leads to the right answer", ge=0, le=10)


@dataclass(frozen=True, slots=True)
class _Path:
    thoughts: tuple[str, ...] = ()
    score: float = 0.0


class TreeOfThoughts(Program):
    """Grows `breadth` next steps from each kept path, `depth` times, and answers from the best.

    All steps of one level are thought of at the same time, then judged at the same time; the
    `keep` best paths go on. The prediction holds the outputs of the signature, `thoughts`, the
    steps of the best path, and `thought_score`, the judge's. After Yao et al., "Tree of Thoughts"
    (2023), breadth-first with a value for each state. A step that cannot be read is pruned; where
    all of a level are, the first one's `ParseError` is raised.

    Model calls: `depth * keep * breadth * 2 + 1` at most, the first level having one path.

    Args:
        signature: a string, a Signature, or a class that declares one.
        breadth: next steps of each path.
        depth: steps of a path.
        keep: paths that survive a level.
        judge: a program of `score` from the inputs and `thoughts`; None asks the model.
        temperature: of the thinking.
        client: who answers; see `Predict`.
    """

    propose: Predict
    judge: Program
    answer: Predict
    breadth: int
    depth: int
    keep: int

    def __init__(
        self,
        signature: SignatureLike,
        *,
        breadth: int = 3,
        depth: int = 2,
        keep: int = 1,
        judge: Program | None = None,
        temperature: float | None = 0.7,
        client: ModelClient | str | None = None,
    ) -> None:
        for name, value in (("breadth", breadth), ("depth", depth), ("keep", keep)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value!r}")

        asked = make_signature(signature)
        thinking = asked.append("thoughts", _SO_FAR, list[str])
        self.propose = Predict(
            _asking_for(
                thinking, "thought", _THOUGHT, str, "Do not answer yet: give the next step."
            ),
            client=client,
            config=Sampling(temperature=temperature),
        )
        self.judge = judge or Predict(
            _asking_for(
                thinking, "score", _SCORE, float, "Do not answer: judge the thoughts so far."
            ),
            client=client,
        )
        self.answer = Predict(thinking, client=client)
        self.breadth = breadth
        self.depth = depth
        self.keep = keep

    async def forward(self, **inputs: Any) -> Prediction:
        """Return the answer that the best path leads to."""
        paths = [_Path()]
        for level in range(self.depth):
            grown = await run_all(
                lambda numbered: self._grow(inputs, *numbered),
                [(number, path) for path in paths for number in range(self.breadth)],
                name=f"level{level}",
            )
            paths = _best([path for path in grown if isinstance(path, _Path)], self.keep)
            if not paths:
                raise next(error for error in grown if isinstance(error, ParseError))

        best = paths[0]
        answer = await self.answer(**inputs, thoughts=list(best.thoughts))
        return Prediction(answer, thoughts=best.thoughts, thought_score=best.score)

    async def _grow(
        self, inputs: Mapping[str, Any], number: int, path: _Path
    ) -> _Path | ParseError:
        """Return a path with one more step, or why the step cannot be read."""
        asked = {**inputs, "thoughts": list(path.thoughts)}
        try:
            step = await sampled(self.propose, asked, number, of=self.breadth)
        except ParseError as exc:
            return exc

        thoughts = (*path.thoughts, step.thought)
        try:
            judged = await self.judge(**{**inputs, "thoughts": list(thoughts)})
        except ParseError:
            return _Path(thoughts)  # unjudged is worth nothing, but not lost

        return _Path(thoughts, float(judged.score))

    def input_names(self) -> list[str]:
        """Return the names of the inputs it takes, in order."""
        return [name for name in self.answer.input_names() if name != "thoughts"]


def _best(paths: list[_Path], keep: int) -> list[_Path]:
    """Return the best paths, the first of equals in front; what was thought twice counts once."""
    distinct: dict[tuple[str, ...], _Path] = {}
    for path in paths:
        distinct.setdefault(path.thoughts, path)

    return sorted(distinct.values(), key=lambda path: path.score, reverse=True)[:keep]


def _asking_for(
    signature: Signature, name: str, field: Field, annotation: type, instead: str
) -> Signature:
    """Return the signature with one other output, and instructions that say so."""
    changed = signature.append(name, field, annotation)
    for output in signature.output_fields:
        changed = changed.delete(output)

    return changed.with_instructions(f"{signature.instructions}\n\n{instead}")
