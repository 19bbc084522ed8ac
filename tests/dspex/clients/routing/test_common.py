"""What a router takes is what all of its clients take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from dspex.clients.routing.common import common_compat
from dspex.messages import Compat


@pytest.mark.parametrize(
    ("name", "values", "common"),
    [
        ("n", (True, False), False),
        ("images", ("url", "data"), "data"),
        ("files", ("none", "url"), "none"),
        ("structured_output", ("json_schema", "json_object"), "json_object"),
        ("context_tokens", (None, 10, 5), 5),
        ("max_output_tokens", (None, None), None),
        ("max_tokens_field", ("max_tokens", "max_completion_tokens"), "max_tokens"),
    ],
)
def test_the_least_is_common(name: str, values: tuple[Any, ...], common: Any) -> None:
    """How it is written stays the first one's."""
    compat = common_compat([Compat(**{name: value}) for value in values])

    assert common == getattr(compat, name)


def test_every_ability_is_looked_at() -> None:
    """A new yes-or-no of the record is not forgotten here, where it is an ability."""
    how = {"replay_reasoning"}
    names = {field.name for field in fields(Compat) if field.type == "bool"} - how

    assert [] == [name for name in sorted(names) if getattr(_common(name), name)]


def _common(name: str) -> Compat:
    return common_compat([Compat(**values) for values in ({name: True}, {name: False})])  # type: ignore[arg-type]  # a bool field by its name
