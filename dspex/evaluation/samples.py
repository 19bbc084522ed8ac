"""The rows of a report as arrays. Importing this loads numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from array import array

    from numpy.typing import NDArray

    from dspex.evaluation.columns import Columns

__all__ = ("Sample", "counted", "ended")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Examples side by side, all of shape (n,): index, key, score (or NaN), cluster if asked for.

    An example whose cluster is not known is a cluster of its own.
    """

    indices: NDArray[np.int64]
    keys: NDArray[np.uint64]
    scores: NDArray[np.float64]
    clusters: NDArray[np.uint64] | None

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Sample:
        """Return some of the examples: by row number or by mask."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return Sample(self.indices[rows], self.keys[rows], self.scores[rows], clusters)

    def __len__(self) -> int:
        return len(self.indices)


def ended(columns: Columns) -> Sample:
    """Return the examples that ended, in the order of their indices; copies nothing it need not."""
    indices = np.fromiter(columns.indices(), dtype=np.int64)
    keys = _numbers(columns.keys)[indices]
    clusters = None
    if columns.clusters is not None:
        codes = _numbers(columns.clusters)
        codes = np.pad(codes, (0, max(0, len(columns) - len(codes))))[indices]
        clusters = np.where(codes == 0, keys, codes)

    scores = np.frombuffer(columns.scores, np.float64) if columns.scores else np.empty(0)
    return Sample(indices, keys, scores[indices], clusters)


def counted(columns: Columns) -> Sample:
    """Return the examples that count in the score."""
    sample = ended(columns)
    return sample.at(~np.isnan(sample.scores))


def _numbers(column: array[int]) -> NDArray[np.uint64]:
    return np.frombuffer(column, np.uint64) if column else np.empty(0, np.uint64)
