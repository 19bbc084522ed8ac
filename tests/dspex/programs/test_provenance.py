"""Provenance: plain data about a search."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dspex.errors import LoadError
from dspex.programs.provenance import Provenance
from dspex.usage import Usage


def test_it_survives_json() -> None:
    """All of it; calls and cost come from the usage."""
    provenance = Provenance(
        "Search(k=3)",
        stop_reason="target reached",
        score=0.9,
        candidates=({"demos": 1}, {"demos": 2}),
        scores=(0.5, None),
        usage=Usage(calls=3, cost_usd=Decimal("0.10")),
        seed=1,
        details={"k": 3},
    )

    assert Provenance.from_dict(provenance.to_dict()) == provenance
    assert (provenance.calls, provenance.cost_usd) == (3, Decimal("0.10"))


@pytest.mark.parametrize(
    "data", [{}, {"optimizer": "x"}, {**Provenance("x").to_dict(), "candidates": 3}]
)
def test_foreign_data_is_refused(data: dict[str, object]) -> None:
    """It is a LoadError."""
    with pytest.raises(LoadError, match="not a provenance"):
        Provenance.from_dict(data)
