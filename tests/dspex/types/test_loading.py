"""Everything a value names is read, wherever it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest

from dspex.types import Image
from dspex.types.loading import load_all

PNG = b"\x89PNG\r\n\x1a\n rest"


class Page(pydantic.BaseModel):
    image: Image
    number: int = 1


@dataclass(frozen=True)
class Sheet:
    image: Image


@pytest.mark.parametrize(
    "wrap",
    [
        lambda image: image,
        lambda image: [image, "x"],
        lambda image: (1, image),
        lambda image: {"a": [image]},
        lambda image: Page(image=image),
        lambda image: Sheet(image),
        lambda image: [Page(image=image)],
    ],
)
async def test_it_is_found_anywhere(tmp_path: Path, wrap: Any) -> None:
    """In lists, tuples, dicts, models and dataclasses; what was loaded stays itself."""
    (tmp_path / "a.png").write_bytes(PNG)
    loaded = await load_all(wrap(Image(tmp_path / "a.png")))

    assert loaded == wrap(Image(PNG))
    assert await load_all(loaded) is loaded


@pytest.mark.parametrize("value", ["text", 3, None, [1, 2], {"a": "b"}, (), {1, 2}, b"x"])
async def test_what_needs_none_is_itself(value: Any) -> None:
    """Not even a copy."""
    assert await load_all(value) is value
