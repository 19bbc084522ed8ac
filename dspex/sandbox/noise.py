"""The reader's only chance element: noise that follows from the prompt, the seed and the sample."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ("Noise",)

_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise that grows with the temperature; none at all at 0.

    Adding Gumbel noise to scores and taking the best is drawing from their softmax (Gumbel, 1954).
    At temperature 1 its scale is a tenth of all votes together, which moves about one answer in
    five on the tuning task with 16 demonstrations.
    """

    temperature: float
    source: random.Random | None

    @classmethod
    def of(
        cls, digest: bytes, text: str, seed: int | None, sample: int, temperature: float
    ) -> Noise:
        """Return the noise for one sample of one prompt; the same arguments give the same noise."""
        if temperature <= 0:
            return cls(0.0, None)

        key = hashlib.blake2b(f"{seed}:{sample}:{text}".encode(), key=digest, digest_size=16)
        return cls(temperature, random.Random(key.digest()))

    def shifted(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, each moved by noise of its own."""
        if self.source is None:
            return scores

        uniform = np.array([1.0 - self.source.random() for _ in scores])
        gumbel = -np.log(-np.log(uniform) + 1e-300)
        moved: NDArray[np.float64] = scores + self.temperature * _SHARE * gumbel
        return moved

    def scaled(self, weight: float) -> float:
        """Return a weight, larger or smaller by chance."""
        if self.source is None:
            return weight

        return weight * math.exp(self.temperature * self.source.gauss(0.0, 0.5))
