"""Every python block of every document compiles and runs."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

from tests.support.docs import Block, blocks, documents, reader, run_block
from tests.support.project import ROOT

DOCUMENTS = documents()


def name(path: Path) -> str:
    """Name a document by its place in the project."""
    return str(path.relative_to(ROOT))


def test_the_changelog_is_among_them() -> None:
    """The documents are found where they stand."""
    assert ROOT / "CHANGELOG.md" in DOCUMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_blocks_are_plain_python(path: Path) -> None:
    """A block is marked `python` and nothing else, so that none is quietly left out."""
    odd = [f"line {block.line}: {block.info}" for block in blocks(path.read_text())]
    assert [text for text in odd if not text.endswith(": python")] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_blocks_compile(path: Path) -> None:
    """Each block is valid Python, top-level await included."""
    for block in blocks(path.read_text()):
        source = "\n" * (block.line - 1) + block.text
        assert compile(source, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in DOCUMENTS if blocks(path.read_text())], ids=name)
def test_blocks_run(path: Path) -> None:
    """The blocks of a document run one after the other against the sandbox."""
    with asyncio.Runner() as runner, reader(runner) as namespace:
        for block in blocks(path.read_text()):
            run_block(block, path, namespace, runner)

        assert namespace, "the blocks left nothing behind"


class TestBlocks:
    TEXT = """Intro.

```python
if True:
    x = 1
```

  ```python no-run
  for y in ():
      print(y)
  ```
```sh
make
```
"""

    def test_finds_python_with_its_line(self) -> None:
        """Python blocks are found, indented or not; other languages are left alone."""
        assert blocks(self.TEXT) == [
            Block(info="python", text="if True:\n    x = 1", line=4),
            Block(info="python no-run", text="for y in ():\n    print(y)", line=9),
        ]


class TestRunBlock:
    def run(self, *texts: str) -> dict[str, object]:
        """Run blocks in one namespace and return it."""
        namespace: dict[str, object] = {}
        with asyncio.Runner() as runner:
            for text in texts:
                run_block(Block("python", text, 1), Path("README.md"), namespace, runner)

        return namespace

    def test_names_reach_later_blocks(self) -> None:
        """A block sees what an earlier one defined, across sync and async blocks."""
        seen = self.run("import asyncio\nx = 1", "await asyncio.sleep(0)\ny = x + 1", "z = y + 1")
        assert (seen["x"], seen["y"], seen["z"]) == (1, 2, 3)

    def test_sync_block_may_start_its_own_loop(self) -> None:
        """A block that shows how to run a main is not run inside one."""
        seen = self.run("import asyncio\nasync def main(): return 7\nx = asyncio.run(main())")
        assert seen["x"] == 7

    def test_failure_points_at_the_document(self) -> None:
        """An exception leaves the block with the document's name and line."""
        with pytest.raises(ZeroDivisionError) as caught, asyncio.Runner() as runner:
            run_block(Block("python", "1 / 0", 12), Path("README.md"), {}, runner)

        assert str(caught.traceback[-1].path).endswith("README.md")
        assert caught.traceback[-1].lineno == 11
