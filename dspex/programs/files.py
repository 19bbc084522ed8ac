"""One JSON document in one file: written whole or not at all, read with the place of any damage."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex.errors import LoadError
from dspex.programs.migrations import FILE_MARK, FILE_SCHEMA, migrated
from dspex.signatures.encoding import is_table

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("read_document", "write_document")


def write_document(path: Path, data: Mapping[str, Any]) -> None:
    """Write readable JSON; whoever reads, or crashes, meets the old file or the new one, whole.

    Raises:
        OSError: the file cannot be written; an old one is untouched.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

        # mkstemp makes it private; a saved program is as public as any file of its folder.
        Path(temporary).chmod(_mode(path))
        Path(temporary).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()

        raise


def read_document(path: Path) -> Mapping[str, Any]:
    """Read a document that `write_document` wrote, in the layout of today whatever its own.

    Raises:
        LoadError: the file is missing, cut off, foreign, or of a schema newer than ours.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except OSError as exc:
        raise LoadError(f"{path}: cannot be read: {exc}") from exc
    except json.JSONDecodeError as exc:
        place = f"{path}: line {exc.lineno}, column {exc.colno}"
        raise LoadError(f"{place}: {exc.msg}: the file is cut off or not JSON") from exc
    except (ValueError, RecursionError) as exc:
        raise LoadError(f"{path}: not a text of JSON: {exc}") from exc

    document: Mapping[str, Any] = data if is_table(data) else {}
    found = document.get(FILE_MARK)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise LoadError(
            f"{path}: not a file of ours: it has no {FILE_MARK!r} with a version number"
        )

    if found > FILE_SCHEMA:
        raise LoadError(
            f"{path}: its schema is {found} and this dspex reads up to {FILE_SCHEMA}: upgrade dspex"
        )

    return migrated(document)


def _mode(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mode & 0o777

    return 0o644
