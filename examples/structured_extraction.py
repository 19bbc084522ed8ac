"""Read an invoice out of a letter: nested types, constraints, and a repair when they are broken.

    python examples/structured_extraction.py
    DSPEX_DEFAULT=provider/model python examples/structured_extraction.py

The signature says what an invoice is. The answer is read into these very types, whatever form the
endpoint can be held to, and what breaks a constraint goes back to the model with the reason.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

# Run as a file, a script sees its own folder and not the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspex
from dspex.messages import Request
from examples.models import open_model

LETTER = """
Nordlicht Kabel GmbH, Rostock                                             3 November 2026

Dear Ms Brandt,
thank you for your order. For 3 drums of fibre at 412.50 euros each and 1 splice kit at 99 euros
we ask for 1,336.50 euros by the end of the month.
"""


class Line(BaseModel):
    """One line of an invoice."""

    item: str
    count: int = Field(ge=1)
    unit_price: Decimal = Field(gt=0)


class Invoice(dspex.Signature):
    """Extract the invoice from the letter."""

    letter: str = dspex.InputField(desc="the whole text of the letter")
    sender: str = dspex.OutputField()
    issued: datetime.date = dspex.OutputField()
    currency: Literal["EUR", "USD", "GBP"] = dspex.OutputField()
    lines: list[Line] = dspex.OutputField(min_length=1)
    total: Decimal = dspex.OutputField(gt=0, desc="what is asked for, as a bare number")


def script(request: Request) -> Any:
    """Answer as a hasty model does: first with an impossible count, then right."""
    mended = "could not be used" in request.messages[-1].text
    return {
        "sender": "Nordlicht Kabel GmbH",
        "issued": "2026-11-03",
        "currency": "eur",
        "lines": [
            {"item": "drum of fibre", "count": 3 if mended else 0, "unit_price": "412.50"},
            {"item": "splice kit", "count": 1, "unit_price": 99},
        ],
        "total": "1,336.50",
    }


async def main() -> None:
    """Extract, check the sum, and show what it took."""
    async with open_model(script) as client:
        extract = dspex.Predict(Invoice, client=client)
        invoice = await extract(letter=LETTER)

    print(f"{invoice.sender}, {invoice.issued:%d %B %Y}")
    for line in invoice.lines:
        print(f"  {line.count:>3} x {line.item:<20} {line.unit_price:>10} {invoice.currency}")

    summed = sum((line.count * line.unit_price for line in invoice.lines), Decimal(0))
    agrees = "which the lines add up to" if summed == invoice.total else f"but the sum is {summed}"
    print(f"  total {invoice.total} {invoice.currency}, {agrees}")
    for repair in invoice.repairs:
        print(f"\nrepaired once: {repair.problem}")

    usage = invoice.usage
    print(f"\n{usage.calls} calls, {usage.input_tokens} tokens in, {usage.output_tokens} out")


if __name__ == "__main__":
    asyncio.run(main())
