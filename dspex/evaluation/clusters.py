"""Which examples belong together, noted while they are pulled."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, TypeAlias

from dspex.errors import DatasetError, EvaluationError
from dspex.signatures.encoding import digest, to_jsonable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex.signatures.example import Example

__all__ = ("ClusterKey", "Clusters")

ClusterKey: TypeAlias = "str | Callable[[Example], object]"
"""The field that names an example's cluster, or a function that does."""


class Clusters:
    """The cluster of each example as a number of 64 bits: eight bytes for each.

    Equal keys are one cluster, in every process. An example without one has the number 0.

    Args:
        by: a field of the examples, or a function of one.

    Raises:
        EvaluationError: it is neither.
    """

    __slots__ = ("_by", "codes")

    def __init__(self, by: ClusterKey) -> None:
        if not isinstance(by, str) and not callable(by):
            raise EvaluationError(
                f"cluster is {by!r}; give the name of a field, or a function of an example"
            )

        self._by = by
        self.codes: array[int] = array("Q")

    def note(self, index: int, example: Example) -> None:
        """Look up the cluster of the example at `index`.

        Raises:
            DatasetError: it has none, or one that has no JSON form; names the example.
        """
        codes = self.codes
        if index >= len(codes):
            codes.extend([0] * (index + 1 - len(codes)))

        codes[index] = int(self._digest(index, example)[:16], 16) or 1

    def _digest(self, index: int, example: Example) -> str:
        by = self._by
        try:
            return digest(to_jsonable(example[by] if isinstance(by, str) else by(example)))
        except Exception as exc:  # the function is the user's
            raise DatasetError(
                f"cluster={by!r} names no cluster for item {index} of the dataset, {example!r}: "
                f"{type(exc).__name__}: {exc}"
            ) from exc
