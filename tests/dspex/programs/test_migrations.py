"""Files of older layouts are read as if they were of today's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dspex.errors import LoadError
from dspex.programs.migrations import FILE_MARK, FILE_SCHEMA, MIGRATIONS, migrated
from dspex.programs.predict import Predict
from dspex.programs.saving import load

# As the first layout was written; its bytes must be readable for ever.
FIRST: dict[str, Any] = {
    "dspex_program": 1,
    "program": {
        "path": "dspex.programs.predict:Predict",
        "arguments": {"signature": "question -> answer"},
    },
    "state": {
        "predictors": {
            "self": {
                "declared": "question -> answer",
                "signature": {
                    "version": 1,
                    "instructions": "Answer in one word.",
                    "fields": [
                        {"name": "question", "role": "input", "type": "str"},
                        {"name": "answer", "role": "output", "type": "str"},
                    ],
                },
                "demos": [
                    {"values": {"question": "2 + 2?", "answer": "four"}, "inputs": ["question"]}
                ],
                "config": {"temperature": 0.5},
                "max_repairs": 1,
            }
        }
    },
    "provenance": None,
}


async def test_the_first_layout_is_read(tmp_path: Path) -> None:
    """State, instructions and demonstrations are all there."""
    (tmp_path / "old.json").write_text(json.dumps(FIRST))
    program = await load(tmp_path / "old.json")
    assert isinstance(program, Predict)
    assert program.signature.instructions == "Answer in one word."
    assert program.demos[0].answer == "four"
    assert program.config.temperature == 0.5


async def test_it_is_written_in_the_layout_of_today(tmp_path: Path) -> None:
    """With the versions that wrote it, and nothing lost."""
    (tmp_path / "old.json").write_text(json.dumps(FIRST))
    program = await load(tmp_path / "old.json")
    await program.save(tmp_path / "new.json")
    document = json.loads((tmp_path / "new.json").read_text())
    assert document["dspex_program"] == FILE_SCHEMA
    assert document["made_with"]["python"]
    again = await load(tmp_path / "new.json")
    assert again.to_dict() == program.to_dict()


def test_there_is_a_step_from_every_version() -> None:
    """A gap would strand the files behind it."""
    assert set(MIGRATIONS) == set(range(1, FILE_SCHEMA))


def test_a_document_of_today_stays_as_it_is() -> None:
    """Nothing is added to it."""
    assert migrated({FILE_MARK: FILE_SCHEMA, "x": 1}) == {FILE_MARK: FILE_SCHEMA, "x": 1}


@pytest.mark.parametrize("version", [0, -1, True, 1.5])
async def test_versions_that_never_were(tmp_path: Path, version: Any) -> None:
    """Such a file is none of ours."""
    (tmp_path / "odd.json").write_text(json.dumps({**FIRST, "dspex_program": version}))
    with pytest.raises(LoadError, match="not a file of ours"):
        await load(tmp_path / "odd.json")


async def test_a_step_that_fails_names_the_file(tmp_path: Path) -> None:
    """An old file that is damaged is a LoadError like a new one."""
    (tmp_path / "old.json").write_text(json.dumps({"dspex_program": 1}))
    with pytest.raises(LoadError, match=r"old\.json"):
        await load(tmp_path / "old.json")
