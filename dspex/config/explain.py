"""Where each setting comes from, as a value that people can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, SecretStr

from dspex.config.mistakes import is_secret
from dspex.config.tables import Location, is_mapping, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dspex.config.sources import Source

__all__ = ("Explained", "Explanation", "Origins", "explain")

_MASK = "********"


class Explained(NamedTuple):
    """One setting: its dotted name, its value as it may be shown, and where it comes from."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All settings in order; `str` gives a table, secrets masked."""

    rows: tuple[Explained, ...]

    def __iter__(self) -> Iterator[Explained]:
        return iter(self.rows)

    def __getitem__(self, key: str) -> Explained:
        """Return one setting; raises KeyError."""
        for row in self.rows:
            if row.key == key:
                return row

        raise KeyError(key)

    def __str__(self) -> str:
        titled = [Explained("setting", "value", "from"), *self.rows]
        keys = max(len(row.key) for row in titled)
        values = max(len(row.value) for row in titled)
        return "\n".join(
            f"{key:{keys}}  {value:{values}}  {source}" for key, value, source in titled
        )


class Origins:
    """Which source gave a value. All compare equal: settings are what they say, not where from."""

    __slots__ = ("_words",)

    def __init__(self, words: Mapping[Location, str] | None = None) -> None:
        self._words = dict(words or {})

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Origins:
        """Remember the sources of all values; the first to name one gave it."""
        words: dict[Location, str] = {}
        whole: set[Location] = set()
        for source in sources:
            for location, _ in leaves(source.values):
                if any(location[:end] in whole for end in range(1, len(location))):
                    continue  # a value above was given as a whole

                words.setdefault(location, source.words(location))
                whole.add(location)

        return cls(words)

    def get(self, location: Location) -> str | None:
        """Return where a value comes from; None if no source named it."""
        return self._words.get(location)

    def changed(self, locations: Iterable[Location], words: str) -> Origins:
        """Return them with other words for some values."""
        return Origins({**self._words, **dict.fromkeys(locations, words)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origins)

    def __hash__(self) -> int:
        return 0


def explain(settings: BaseModel, origins: Origins) -> Explanation:
    """Return every setting with its value and source."""
    return Explanation(tuple(_rows(settings, origins, ())))


def _rows(model: BaseModel, origins: Origins, above: Location) -> Iterator[Explained]:
    for name in type(model).model_fields:
        told = "code" if name in model.model_fields_set else "default"
        yield from _explain(getattr(model, name), origins, (*above, name), told)


def _explain(value: Any, origins: Origins, here: Location, told: str) -> Iterator[Explained]:
    told = origins.get(here) or told
    if isinstance(value, BaseModel):
        yield from _rows(value, origins, here)
    elif is_mapping(value) and value:
        for name, item in value.items():
            yield from _explain(item, origins, (*here, name), told)
    else:
        yield Explained(".".join(map(str, here)), _show(value, str(here[-1])), told)


def _show(value: object, name: str) -> str:
    hidden = isinstance(value, SecretStr) or (isinstance(value, str) and is_secret(name))
    return _MASK if hidden else str(value) if isinstance(value, (str, int, float)) else repr(value)
