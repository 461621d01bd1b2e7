"""Who may import whom: the layers of the house, and libraries that are met in one place only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "matte_core"

# Each layer may import the layers before it, and itself.
LAYERS = [
    {
        "errors",
        "late",
        "frame",
        "aside",
        "shot",
        "verb",
        "plan",
        "lanes",
        "store",
        "pull",
        "patience",
        "op",
        "__init__",
        "paths",
        "guide",
        "__version__",
    },
    {
        "colour",
        "io",
        "compose",
        "temporal",
        "takes",
        "flow",
        "motion_filter",
        "plate_motion",
        "clearing",
        "smoothing",
        "trimap",
        "instances",
        "foreground",
        "carry",
        "windows",
        "memory",
        "clean_plate",
        "difference",
        "spill",
        "keyframes",
        "resize",
        "masks",
    },
    {"models.base", "models.layers", "models.weights", "models.catalogue"},
    {"models"},
    {"engine"},
    {"matting", "joint", "passes", "linear_alpha", "sources", "deliver", "video", "propagation"},
    {"ops"},
    {"graph", "workflow", "cli", "farm", "submit", "studio", "train", "evaluate", "__main__"},
]
ONE_PLACE = {
    "OpenImageIO": "io",
    "PyOpenColorIO": "colour",
    "pymatting": "models",
    "huggingface_hub": "models",
    "mmh3": "io",
    "aiohttp": "studio",
    "PIL": "studio",
}
NEVER = {"torchvision", "torchaudio", "comfy", "folder_paths", "server", "nodes", "comfy_api"}
FILES = sorted(path for path in CORE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "late":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def layer_of(module: str) -> int | None:
    """Layer of "models.net_m.net": that of its longest known beginning."""
    pieces = module.split(".")
    for length in range(len(pieces), 0, -1):
        for index, layer in enumerate(LAYERS):
            if ".".join(pieces[:length]) in layer:
                return index
    return None


def own_name(path: Path) -> str:
    relative = path.relative_to(CORE).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__") or "__init__"


@pytest.mark.parametrize("path", FILES, ids=own_name)
def test_a_module_imports_only_the_layers_below_it(path: Path) -> None:
    own = layer_of(own_name(path))
    assert own is not None, f"{own_name(path)} has no layer: put it into the table"
    for module in imports(path):
        if module.startswith("matte_core."):
            other = layer_of(module.removeprefix("matte_core."))
            assert other is not None and other <= own, f"{own_name(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=own_name)
def test_a_library_is_met_in_one_place(path: Path) -> None:
    for module in imports(path):
        library = module.split(".")[0]
        assert library not in NEVER, f"{own_name(path)} imports {module}"
        home = ONE_PLACE.get(library)
        assert home is None or own_name(path).split(".")[0] == home, f"{own_name(path)} imports {module}"


@pytest.mark.parametrize("path", sorted(CORE.glob("models/*/*.py")), ids=own_name)
def test_models_import_neither_io_nor_the_engine_nor_each_other(path: Path) -> None:
    family = own_name(path).split(".")[1]
    allowed = {family, "base", "layers", "weights"}
    for module in imports(path):
        if module.startswith("matte_core."):
            pieces = module.split(".")
            assert pieces[1] in ("models", "errors", "frame", "flow"), f"{own_name(path)} imports {module}"
            assert pieces[1] != "models" or pieces[2] in allowed, f"{own_name(path)} imports {module}"
        if path.stem == "net":
            assert module.split(".")[0] not in ("numpy", "cv2", "scipy"), f"{own_name(path)} imports {module}"
