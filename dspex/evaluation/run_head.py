"""The first record of a run's file: whose outcomes follow, so that no two runs are ever mixed."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from dspex.errors import EvaluationError
from dspex.evaluation.fingerprint import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ("RunHead", "head_of", "may_be_torn_head", "not_a_run_file")

_VERSION: Final = 1
_BEGIN: Final = b'{"run":'
_CHECKSUM: Final = b"00000000 "
_IS_CHECKSUM: Final = re.compile(rb"[0-9a-f]{0,8}|[0-9a-f]{8} ")


@dataclass(frozen=True, slots=True)
class RunHead:
    """Whose outcomes a run file holds.

    `models` are those that the program asks, sorted. `options` is for readers, and may change from
    session to session.
    """

    run_id: str
    _: KW_ONLY
    program: Fingerprint
    metric: Fingerprint
    models: tuple[str, ...] = ()
    options: Mapping[str, Any]

    def to_json(self) -> bytes:
        """Return the record."""
        head = {
            "version": _VERSION,
            "run_id": self.run_id,
            "program": self.program.to_dict(),
            "metric": self.metric.to_dict(),
            "models": self.models,
        }
        return orjson.dumps({"run": head})

    def check(self, path: Path, recorded: Mapping[str, Any]) -> None:
        """Refuse to go on with the outcomes of another run.

        Raises:
            EvaluationError: run, program, model or metric is another; names both.
        """
        version = recorded.get("version")
        if not isinstance(version, int) or version > _VERSION:
            raise EvaluationError(
                f"{path} has version {version!r}, and this version of dspex knows {_VERSION}: "
                "go on with the newer version, or give the run another run_id"
            )

        if recorded["run_id"] != self.run_id:
            raise EvaluationError(
                f"{path} holds the run {recorded['run_id']!r}, not {self.run_id!r}: give the sink "
                "a file of its own, or run_id its name"
            )

        for what, then, now in (
            ("program", Fingerprint.from_dict(recorded["program"]), self.program),
            ("metric", Fingerprint.from_dict(recorded["metric"]), self.metric),
            ("model", ", ".join(recorded.get("models", ())), ", ".join(self.models)),
        ):
            if then != now:
                raise EvaluationError(
                    f"run {self.run_id!r} in {path} was begun with another {what}: {then} then, "
                    f"{now} now. Its outcomes say nothing about this one: give it another run_id, "
                    f"or go on with the {what} of then"
                )


def head_of(path: Path, payload: bytes) -> Mapping[str, Any]:
    """Return what the first record says.

    Raises:
        EvaluationError: it is not that of a run.
    """
    record: Any = orjson.loads(payload) if payload.startswith(_BEGIN) else None
    if record is None or not isinstance(record["run"], dict):
        raise not_a_run_file(path)

    head: Mapping[str, Any] = record["run"]
    return head


def may_be_torn_head(path: Path) -> bool:
    """Tell whether a file without a whole record is what a kill left of the first one."""
    with path.open("rb") as file:
        line = file.readline()
        rest = file.read(1)

    checksum, begin = line[: len(_CHECKSUM)], line[len(_CHECKSUM) :]
    begun = _IS_CHECKSUM.fullmatch(checksum) and _BEGIN.startswith(begin[: len(_BEGIN)])
    return not rest and line[-1:] != b"\n" and (bool(begun) or not line.strip(b"\0"))


def not_a_run_file(path: Path) -> EvaluationError:
    """Return the error that says so, and shows how the file begins."""
    with path.open("rb") as file:
        return EvaluationError(f"{path} is not a run file: it begins with {file.read(60)!r}")
