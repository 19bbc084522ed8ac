"""A labelled text dataset that every machine with Python has: the standard library's documentation.

Each text is a name and what its documentation string says of it; a string over 400 characters is
cut between paragraphs and gives several texts. The area is that of the module it documents. Nothing
is downloaded and nothing is called: modules are imported, their strings are read. The same Python
version on the same system gives the same records, in the same order.

Texts of one class family (a class, what it inherits from and what inherits from it) share a group,
as do the functions of one module, and groups that share a text are one. `load` keeps every group
on one side of the split, so that an inherited or copied sentence cannot be in both. A text that
two areas share is dropped.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import random
import re
import sys
import types
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ("AREAS", "Record", "Split", "collect", "load")

_MODULES: Final[dict[str, str]] = {
    "networking": """
        ftplib http imaplib ipaddress nntplib poplib smtplib socket socketserver ssl telnetlib
        urllib webbrowser wsgiref xmlrpc""",
    "concurrency": """
        asyncio concurrent contextvars multiprocessing queue sched select selectors signal
        subprocess thread threading""",
    "numbers and data types": """
        array bisect calendar cmath collections copy dataclasses datetime decimal enum fractions
        functools graphlib hashlib heapq hmac itertools math numbers operator random secrets
        statistics time uuid weakref zoneinfo""",
    "files and storage": """
        bz2 dbm filecmp fileinput fnmatch genericpath glob gzip io lzma mmap ntpath os pathlib
        pickle posix posixpath shelve shutil sqlite3 stat tarfile tempfile zipfile zlib""",
    "text and formats": """
        base64 binascii codecs configparser csv difflib elementtree email gettext html json
        locale mailbox mimetypes plistlib pyexpat quopri re string struct textwrap tomllib
        unicodedata xml""",
    "developer tools": """
        argparse ast bdb cmd code codeop compileall dis doctest gc importlib inspect logging
        optparse pdb pickletools pkgutil platform profile pstats pyclbr pydoc runpy symtable
        sysconfig timeit tokenize trace traceback tracemalloc types typing unittest warnings""",
}

AREAS: Final[tuple[str, ...]] = tuple(_MODULES)
"""The six areas, the classes of the task."""

_AREA_OF: Final = {name: area for area, names in _MODULES.items() for name in names.split()}
_SKIPPED_PARTS: Final = frozenset({"__main__", "test", "tests", "idlelib", "docs"})
_NO_FAMILY: Final = frozenset({"builtins", "abc", "typing", "enum", "types", "collections.abc"})
_MIN_WORDS: Final = 6
_MAX_CHARS: Final = 400
_MAX_PER_GROUP: Final = 48

_DOCUMENTED: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    property,
    classmethod,
    staticmethod,
)


@dataclass(frozen=True, slots=True)
class Record:
    """One text, the area it documents, and the group that must not be split."""

    text: str
    area: str
    group: str


@dataclass(frozen=True, slots=True)
class _Found:
    """One piece of documentation: the name it documents, what it says, and where it belongs."""

    name: str
    said: str
    area: str
    group: str

    @property
    def key(self) -> str:
        """What makes two pieces the same: what they say, letter case aside."""
        return self.said.casefold()


@dataclass(frozen=True, slots=True)
class Split:
    """Records to learn from and records to judge by; no group is in both."""

    train: tuple[Record, ...]
    held_out: tuple[Record, ...]


def load(*, per_area: int = 500, held_out_share: float = 0.3, seed: int = 0) -> Split:
    """Return a balanced split: `per_area` texts of each area, `held_out_share` of them held out.

    Raises:
        ValueError: an area has fewer texts than asked for.
    """
    source = random.Random(seed)
    held_out_count = round(per_area * held_out_share)
    train: list[Record] = []
    held_out: list[Record] = []
    sides: dict[str, bool] = {}
    records = collect()
    for area in AREAS:
        groups = _by_group(record for record in records if record.area == area)
        source.shuffle(groups)
        aside, rest = _divide(groups, held_out_count, sides)
        if len(aside) < held_out_count or len(aside) + len(rest) < per_area:
            raise ValueError(
                f"area {area!r} has {len(aside) + len(rest)} texts, fewer than per_area={per_area}"
            )

        source.shuffle(rest)
        held_out += aside
        train += rest[: per_area - held_out_count]

    source.shuffle(train)
    source.shuffle(held_out)
    return Split(tuple(train), tuple(held_out))


def collect() -> list[Record]:
    """Return every usable text, sorted by area, group and text; takes well under a second.

    Raises:
        RuntimeError: Python runs without documentation strings (option -OO).
    """
    if sys.flags.optimize >= 2:
        raise RuntimeError("documentation strings are stripped by -OO; run Python without it")

    everything = [item for module in _modules() for item in _documented(module)]
    areas: dict[str, set[str]] = defaultdict(set)
    for item in everything:
        areas[item.key].add(item.area)

    found = [item for item in everything if len(areas[item.key]) == 1]
    families = _merged_groups(found)
    unique: dict[str, Record] = {}
    for item in found:
        if item.key not in unique:
            text = f"{item.name}: {item.said}" if item.name else item.said
            unique[item.key] = Record(text, item.area, families[item.group])

    return sorted(unique.values(), key=lambda record: (record.area, record.group, record.text))


def _by_group(records: Iterable[Record]) -> list[list[Record]]:
    """Return the records of each group, no more than a group may give."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.group].append(record)

    return [group[:_MAX_PER_GROUP] for _, group in sorted(groups.items())]


def _divide(
    groups: list[list[Record]], count: int, sides: dict[str, bool]
) -> tuple[list[Record], list[Record]]:
    """Return `count` records to hold out, from whole groups, and the records of all other groups.

    `sides` remembers which groups are held out: one that has texts in two areas stays on one side.
    """
    aside: list[Record] = []
    rest: list[Record] = []
    for group in sorted(groups, key=lambda group: not sides.get(group[0].group, False)):
        if sides.setdefault(group[0].group, len(aside) < count):
            aside += group
        else:
            rest += group

    return aside[:count], rest


def _modules() -> Iterator[types.ModuleType]:
    """Import the modules of all areas, with their public submodules; skip what is not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(_AREA_OF):
            if name in sys.stdlib_module_names:
                yield from _import_tree(name)


def _import_tree(name: str) -> Iterator[types.ModuleType]:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return

    yield module
    for child in sorted(
        info.name for info in pkgutil.iter_modules(getattr(module, "__path__", ()))
    ):
        if not child.startswith("_") and child not in _SKIPPED_PARTS:
            yield from _import_tree(f"{name}.{child}")


def _documented(module: types.ModuleType) -> Iterator[_Found]:
    """Yield what the module, its functions, and its classes with their members are said to do."""
    yield from _texts("", module.__doc__, module.__name__, module.__name__)
    for name, value in sorted(vars(module).items()):
        if name.startswith("_"):
            continue

        if isinstance(value, type):
            yield from _class_texts(value)
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType):
            owner = value.__module__ or module.__name__
            yield from _texts(value.__name__, value.__doc__, owner, owner)


def _class_texts(cls: type) -> Iterator[_Found]:
    group = _family(cls)
    yield from _texts(cls.__name__, cls.__dict__.get("__doc__"), cls.__module__, group)
    for name, member in sorted(vars(cls).items()):
        if not name.startswith("_") and isinstance(member, _DOCUMENTED):
            yield from _texts(f"{cls.__name__}.{name}", member.__doc__, cls.__module__, group)


def _family(cls: type) -> str:
    """Return the name of the furthest ancestor that means something for the area."""
    ancestors = [base for base in cls.__mro__ if base.__module__ not in _NO_FAMILY]
    root = ancestors[-1] if ancestors else cls
    return f"{root.__module__}.{root.__qualname__}"


def _texts(name: str, doc: object, owner: str, group: str) -> Iterator[_Found]:
    """Yield the pieces of a documentation string, if its module belongs to an area."""
    area = _AREA_OF.get(owner.split(".")[0].lstrip("_"))
    if area is None or not isinstance(doc, str):
        return

    for said in _pieces(inspect.cleandoc(doc)):
        yield _Found(name, said, area, group)


def _pieces(doc: str) -> Iterator[str]:
    """Cut a documentation string between paragraphs; leave out what is no prose."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", doc):
        said = " ".join(paragraph.split())
        if not _is_prose(said):
            continue

        if piece and len(piece) + len(said) >= _MAX_CHARS:
            yield piece
            piece = ""

        piece = f"{piece} {said}".strip()
        if len(piece) > _MAX_CHARS:
            piece = piece[:_MAX_CHARS].rsplit(" ", 1)[0]

    if piece:
        yield piece


def _is_prose(text: str) -> bool:
    """Tell prose from a signature, a table or an interpreter session."""
    words = re.findall(r"\b[A-Za-z]{2,}\b", text)
    return len(words) >= _MIN_WORDS and ">>>" not in text and text[0].isalnum()


def _merged_groups(found: Sequence[_Found]) -> dict[str, str]:
    """Return for each group the name of the union of all groups that say the same somewhere."""
    parent = {item.group: item.group for item in found}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]

        return group

    first: dict[str, str] = {}
    for item in found:
        one, other = root(first.setdefault(item.key, item.group)), root(item.group)
        parent[max(one, other)] = min(one, other)

    return {group: root(group) for group in parent}
