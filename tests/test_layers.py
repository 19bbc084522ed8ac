"""Each package imports only from those it is built on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT, Import, imports, module_name, modules

# From the ground up: a package may import from those before it and from itself.
LAYERS = (
    "threads",
    "usage",
    "errors",
    "effects",
    "telemetry",
    "config",
    "messages",
    "recipe",
    "types",
    "signatures",
    "adapters",
    "cache",
    "clients",
    "programs",
    "store",
    "evaluation",
    "optimizers",
    "jobs",
    "cluster",
    "orchestration",
    "sandbox",
    "testing",
    "runtime",
    "entry",
    "dashboard",
    "cli",
)


def layer(module: str) -> int:
    """Give the height of a module of dspex."""
    return LAYERS.index(module.split(".")[1])


def breach(importer: str, imported: Import) -> str | None:
    """Say how an import goes against the layers, or None where it does not."""
    head, *rest = imported.name.split(".")
    if head != "dspex":
        return None

    if not rest or rest[0] not in LAYERS:
        return (
            f"line {imported.line}: {imported.name} is no layer; import the module that defines it"
        )

    if layer(imported.name) > layer(importer):
        return f"line {imported.line}: {imported.name} is built on {importer}"

    return None


def test_every_module_has_a_layer() -> None:
    """A new package takes its place in the table before it is used."""
    names = {module_name(path) for path in modules("dspex")} - {"dspex"}
    assert names, "no module was found"
    assert {name.split(".")[1] for name in names} <= set(LAYERS)


# The root's table of names loaded on first use reaches everywhere.
LAYERED = [path for path in modules("dspex") if path != ROOT / "dspex" / "__init__.py"]


@pytest.mark.parametrize("path", LAYERED, ids=module_name)
def test_imports_run_downwards(path: Path) -> None:
    """No module of dspex imports one that is built on it, not in a function and not for types."""
    breaches = [breach(module_name(path), found) for found in imports(path)]
    assert [text for text in breaches if text] == []


@pytest.mark.parametrize("path", modules("supervision"), ids=module_name)
def test_supervision_stands_on_the_standard_library(path: Path) -> None:
    """Supervision imports itself and the standard library, and nothing else at run time."""
    allowed = sys.stdlib_module_names | {"supervision"}
    foreign = {
        found.name
        for found in imports(path)
        if found.name.split(".")[0] not in allowed and not found.typing_only
    }
    assert foreign == set()


class TestBreach:
    @pytest.mark.parametrize(
        ("importer", "imported"),
        [
            ("dspex.clients.failures.retry", "dspex.optimizers.base"),
            ("dspex.errors", "dspex.effects"),
            ("dspex.programs.predict", "dspex.runtime"),
            ("dspex.programs.predict", "dspex.Runtime"),
            ("dspex.programs.predict", "dspex"),
        ],
    )
    def test_upward_import_is_found(self, importer: str, imported: str) -> None:
        """An import of what is built on the importer, or of the root, is named with its line."""
        text = breach(importer, Import(imported, 7, typing_only=False))
        assert text is not None
        assert "line 7" in text

    @pytest.mark.parametrize(
        ("importer", "imported"),
        [
            ("dspex.clients.failures.retry", "dspex.errors"),
            ("dspex.clients.failures.retry", "dspex.clients.failures.rules"),
            ("dspex.clients.failures.retry", "aiohttp"),
            ("dspex.clients.failures.retry", "supervision.ref"),
        ],
    )
    def test_downward_import_passes(self, importer: str, imported: str) -> None:
        """Lower layers, the own package and other libraries are fine."""
        assert breach(importer, Import(imported, 7, typing_only=False)) is None
