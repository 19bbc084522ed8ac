"""How thoroughly to measure, and against what; what every benchmark is given."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from benchmarks.servers import LoadServer

__all__ = ("PEERS_PYTHON", "ROOT", "Setting")

ROOT = Path(__file__).resolve().parents[1]

PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
"""The interpreter of the environment that holds other libraries."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run's options and its load server, which answers at once and after one second."""

    server: LoadServer
    _: KW_ONLY
    quick: bool = False
    peers: bool = False
    verbose: bool = False

    @property
    def pairs(self) -> int:
        """How many pairs of measurements a figure is made of."""
        return 3 if self.quick else 7

    def scaled(self, calls: int) -> int:
        """Return how many calls to make where a thorough run makes `calls`."""
        return calls // 4 if self.quick else calls
