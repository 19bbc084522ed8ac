"""The lock files pin everything, name no registry and agree with the metadata."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project import ROOT, imports, modules, pyproject

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+?)(?: ; (.+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
# Libraries whose names are part of a declared library's own interface, which keeps them in step.
EXPOSED = {
    "mcp-types": "mcp",
    "multidict": "aiohttp",
    "opentelemetry-api": "opentelemetry-sdk",
    # It shares its import name with the declared one.
    "opentelemetry-semantic-conventions": "opentelemetry-sdk",
    "pydantic-core": "pydantic",
    "pydantic-monty-client": "pydantic-monty",
    "yarl": "aiohttp",
}


def lines(lock: str) -> list[str]:
    """Give the lines of a lock that say something."""
    text = (ROOT / lock).read_text()
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


@cache
def pins(lock: str) -> frozenset[tuple[str, str, str]]:
    """Give name, version and marker of everything that a lock pins."""
    found = [PIN.match(line) for line in lines(lock) if not line.startswith(" ")]
    return frozenset((m[1], m[2], m[3] or "") for m in found if m)


def names(requirements: list[str]) -> set[str]:
    """Give the canonical names of some requirements."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def declared() -> list[str]:
    """List the requirements of running the project, without extras."""
    requirements: list[str] = pyproject()["project"]["dependencies"]
    return requirements


def optional() -> list[str]:
    """List the requirements of all extras."""
    extras: dict[str, list[str]] = pyproject()["project"]["optional-dependencies"]
    return [text for requirements in extras.values() for text in requirements]


@cache
def imported() -> frozenset[str]:
    """Give the distributions that the packages import at run time, standard library aside."""
    owners = packages_distributions()
    heads = {
        found.name.split(".")[0]
        for path in modules()
        for found in imports(path)
        if not found.typing_only
    }
    foreign = heads - sys.stdlib_module_names - {"dspex", "supervision"}
    return frozenset(
        canonicalize_name(owner) for head in foreign for owner in owners.get(head, [head])
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_or_a_hash(lock: str) -> None:
    """A lock holds exact versions with their hashes: no URL, no option, no registry."""
    assert len(pins(lock)) > 10
    odd = [line for line in lines(lock) if not (PIN.match(line) or HASH.match(line))]
    assert odd == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """Nothing is installed whose content was not seen when the lock was made."""
    for this, following in zip(lines(lock), [*lines(lock)[1:], ""], strict=True):
        if PIN.match(this):
            assert HASH.match(following), this


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_what_is_declared(lock: str) -> None:
    """Each declared dependency is locked."""
    assert names(declared()) <= {name for name, _, _ in pins(lock)}


def test_development_lock_holds_the_other() -> None:
    """Tests run on the versions that users run on."""
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_development_lock_holds_the_group() -> None:
    """Each development dependency is locked."""
    group = names(pyproject()["dependency-groups"]["dev"])
    assert group <= {name for name, _, _ in pins("requirements-dev.lock")}


@pytest.mark.parametrize(
    "requirement", [*declared(), *optional(), *pyproject()["dependency-groups"]["dev"]]
)
def test_requirement_has_a_floor_that_the_lock_meets(requirement: str) -> None:
    """A floor says what the project was made for; the locked version satisfies the range."""
    parsed = Requirement(requirement)
    assert any(part.operator in (">=", "==") for part in parsed.specifier)
    locked = [v for name, v, _ in pins(LOCKS[1]) if name == canonicalize_name(parsed.name)]
    assert [version for version in locked if version not in parsed.specifier] == []


@pytest.mark.parametrize("name", sorted(names(declared())))
def test_declared_dependency_is_used(name: str) -> None:
    """What is installed for everybody is imported somewhere."""
    assert name in imported()


def test_imported_library_is_declared() -> None:
    """What is imported is declared, as a dependency or as an extra."""
    assert imported(), "no import was found"
    ours = names([*declared(), *optional()])
    exposed = {name for name, owner in EXPOSED.items() if owner in ours}
    assert imported() - ours - exposed == set()
