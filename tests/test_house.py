"""The import rules of the design: a room imports only rooms below it. Read from the source, so nothing needs to be importable."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "crossfix"

#: Top to bottom.
ORDER = [
    "cli",
    "serve",
    "locate",
    "evaluate",
    "train",
    "index",
    "worlds",
    "clouds",
    "data",
    "maps",
    "models",
    "losses",
    "geo",
    "disk",
    "workers",
    "errors",
]

#: Rooms that are narrower than the order: all of ours that they may import.
ONLY = {
    "worlds": {"disk", "workers", "data", "geo", "errors"},
    "clouds": {"disk", "geo", "errors"},
    "data": {"disk", "geo", "errors"},
    "maps": {"disk", "geo", "errors"},
    "models": {"disk", "errors"},
    "losses": {"errors"},
    "disk": {"errors"},
    "geo": {"disk", "errors"},
    "workers": {"errors"},
    "errors": set(),
}

#: Other people's packages.
GEO_MAY = {"numpy", "pyproj", "PIL"}
ONLY_CLI = {"typer", "rich", "click"}

MAX_LINES = 400
VAGUE = {"util", "utils", "common", "misc", "helper", "helpers", "shared", "stuff", "tools"}

FILES = sorted(SRC.rglob("*.py"))


def room_of(path: Path) -> str:
    part = path.relative_to(SRC).parts[0]
    return part.removesuffix(".py")


def allowed(room: str) -> set[str]:
    return ONLY.get(room, set(ORDER[ORDER.index(room) + 1 :]))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module named by an import statement anywhere in a file, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides where it points"
            yield node.module or "", node.lineno
            if node.module == "crossfix":
                yield from ((f"crossfix.{alias.name}", node.lineno) for alias in node.names)


def rooms_imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for module, line in imports(tree):
        parts = module.split(".")
        if parts[0] == "crossfix" and len(parts) > 1 and parts[1] != "__version__":
            yield parts[1], line


def breaches(room: str, source: str) -> list[str]:
    may = allowed(room) | {room}
    return [f"line {line}: {room} imports {other}" for other, line in rooms_imported(ast.parse(source)) if other not in may]


def test_the_rooms_are_those_of_the_design() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__", "__main__"}  # the package, and the door of `python -m`
    assert rooms <= set(ORDER), f"rooms without a place in the order: {rooms - set(ORDER)}"
    assert {"cli", "locate", "geo", "errors"} <= rooms


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != SRC], ids=lambda path: str(path.relative_to(SRC)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    assert not breaches(room_of(path), path.read_text())


def test_the_package_itself_imports_nothing_of_ours() -> None:
    assert not list(rooms_imported(ast.parse((SRC / "__init__.py").read_text())))
    assert not breaches("errors", (SRC / "errors.py").read_text())


@pytest.mark.parametrize(
    ("room", "line", "ok"),
    [
        ("locate", "from crossfix.index.store import MapIndex", True),
        ("locate", "from crossfix.locate.fix import Fix", True),
        ("locate", "import crossfix.cli.app", False),
        ("locate", "from crossfix import serve", False),
        ("geo", "from crossfix.errors import InputError", True),
        ("geo", "from crossfix.models import registry", False),
        ("maps", "from crossfix.data.folder import Folder", False),
        ("worlds", "from crossfix.data.folder import Folder", True),
        ("worlds", "from crossfix.maps.raster import GeoMap", False),
        ("losses", "from crossfix.models.salad import Salad", False),
        ("train", "def late():\n    from crossfix.locate import locator", False),
    ],
)
def test_the_check_itself_tells_right_from_wrong(room: str, line: str, ok: bool) -> None:
    assert (not breaches(room, line)) is ok


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) == "geo"], ids=lambda path: path.name)
def test_geo_imports_only_numpy_pyproj_and_pillow(path: Path) -> None:
    packages = {module.split(".")[0] for module, _ in imports(ast.parse(path.read_text()))}
    assert packages <= GEO_MAY | {"crossfix"} | sys.stdlib_module_names


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) != "cli"], ids=lambda path: str(path.relative_to(SRC)))
def test_only_the_commands_print(path: Path) -> None:
    tree = ast.parse(path.read_text())
    prints = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"]
    assert not prints
    assert not {module.split(".")[0] for module, _ in imports(tree)} & ONLY_CLI


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_nothing_is_pickled(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not {module.split(".")[0] for module, _ in imports(tree)} & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            called = (node.func.value.id, node.func.attr)
            assert called != ("torch", "save"), f"line {node.lineno}: torch.save pickles"
            if called == ("torch", "load"):
                assert path.relative_to(SRC).as_posix().startswith("models/import"), (
                    f"line {node.lineno}: only an importer reads checkpoints"
                )
                keywords = {k.arg: k.value for k in node.keywords}
                assert ast.unparse(keywords.get("weights_only", ast.Constant(None))) == "True"
            if called in {("np", "load"), ("numpy", "load")}:
                assert "allow_pickle=True" not in ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_has_a_name_and_reads_in_one_sitting(path: Path) -> None:
    assert not {part.removesuffix(".py") for part in path.relative_to(SRC).parts} & VAGUE
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [p for p in FILES if p.read_text().strip()], ids=lambda path: str(path.relative_to(SRC)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def _defined(path: Path) -> set[str]:
    """Names that a module binds at its top, as far as they can be read from the source."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        else:
            found.update(child.id for child in ast.walk(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store))
    return found


@pytest.mark.parametrize("path", sorted((SRC.parents[1] / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        own = path.parent / f"{node.module}.py"
        module = own if own.exists() else SRC.parent / Path(*node.module.split(".")).with_suffix(".py")
        if node.module.split(".")[0] != "crossfix" and not own.exists():
            continue
        folder = module.with_suffix("")
        for alias in node.names:
            known = _defined(module if module.exists() else folder / "__init__.py")
            assert alias.name in known or (folder / f"{alias.name}.py").exists(), f"line {node.lineno}: {node.module} has no {alias.name}"
