"""Log probabilities of tokens: well-formed and the same each time, and otherwise made up.

They come from a checksum of the token, not from the reader: good for trying what reads them, not
for judging an answer by them.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Final

from dspex.sandbox.exchange import CHARS_PER_TOKEN, cut_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("token_logprobs",)

_LEAST: Final = 0.5
_SPREAD: Final = 0.45


def token_logprobs(text: str, alternatives: int) -> Iterator[Sequence[tuple[str, float]]]:
    """Yield, for each token of `text`, it and then at most `alternatives` - 1 others.

    Each is a token and the natural logarithm of its probability; the first is the most likely, and
    the probabilities of one place add up to less than 1.
    """
    for token in cut_pieces(text, CHARS_PER_TOKEN):
        share = _LEAST + _SPREAD * (zlib.crc32(token.encode()) % 1000) / 1000
        shown = [(token, math.log(share))]
        rest = 1 - share
        for rank in range(1, alternatives):
            rest /= 2
            shown.append((f"{token}~{rank}", math.log(rest)))

        yield shown
