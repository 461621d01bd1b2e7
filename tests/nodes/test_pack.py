"""The pack as ComfyUI loads it: quick, without the network, hiding nothing; help and templates for every node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADING = """
import asyncio, importlib.util, json, socket, sys, time, types  # asyncio: it needs the socket that is taken away
import numpy, torch

def refuse(*args, **kwargs):
    raise AssertionError("the pack touched the network")

socket.socket = socket.getaddrinfo = socket.create_connection = refuse
libraries = set(sys.modules)
added = []
sys.path = [entry for entry in sys.path if entry not in ("", sys.argv[1])]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]  # as where it is not installed
known = list(sys.path)
folders = types.SimpleNamespace(
    get_directory_by_type=lambda kind: "/nowhere/" + kind,
    models_dir="/nowhere/models",
    folder_names_and_paths={},
    add_model_folder_path=lambda name, path: added.append([name, path]),
)
sys.modules["folder_paths"] = folders
sys.modules["nodes"] = comfys_own = types.ModuleType("nodes")
name, started = sys.argv[1].replace(".", "_x_"), time.process_time()
spec = importlib.util.spec_from_file_location(name, sys.argv[1] + "/__init__.py")
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
seconds = time.process_time() - started
brought = {m.split(".")[0] for m in set(sys.modules) - libraries}

def described(node):
    inputs = {key: [kind, options] for group in node.INPUT_TYPES().values() for key, (kind, options) in group.items()}
    facts = ("CATEGORY", "DESCRIPTION", "RETURN_TYPES", "RETURN_NAMES", "OUTPUT_TOOLTIPS", "OUTPUT_NODE", "FUNCTION")
    facts += ("SEARCH_ALIASES",)
    return {"inputs": inputs, **{fact: getattr(node, fact, None) for fact in facts}}

print(json.dumps({
    "seconds": seconds,
    "before": known,
    "path": sys.path,
    "models": added,
    "web": module.WEB_DIRECTORY,
    "titles": module.NODE_DISPLAY_NAME_MAPPINGS,
    "nodes": {key: described(node) for key, node in module.NODE_CLASS_MAPPINGS.items()},
    "unwanted": [m for m in sys.modules if m.split(".")[0] in ("torchvision", "torchaudio", "requests", "urllib3")],
    "brought": sorted(brought),
    "hidden": sys.modules["nodes"] is not comfys_own,
}))
"""


@pytest.fixture(scope="module")
def pack() -> Any:
    """What a fresh interpreter says of the pack after loading it as ComfyUI does."""
    ran = subprocess.run([sys.executable, "-c", LOADING, str(ROOT)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_every_node_has_a_title_a_menu_and_a_description(pack: Any) -> None:
    assert set(pack["titles"]) == set(pack["nodes"])
    assert len(set(pack["titles"].values())) == len(pack["titles"])
    for name, node in pack["nodes"].items():
        assert name.startswith("Matte")
        assert node["CATEGORY"].startswith("Matte/") and node["DESCRIPTION"] and node["FUNCTION"] == "run"


def test_every_input_and_output_has_a_tooltip_that_is_a_sentence(pack: Any) -> None:
    for name, node in pack["nodes"].items():
        for key, (_, options) in node["inputs"].items():
            assert options["tooltip"].strip(), f"{name}.{key}"
        count = len(node["RETURN_TYPES"])
        assert count == len(node["RETURN_NAMES"] or ()) == len(node["OUTPUT_TOOLTIPS"] or ()), name


def test_every_mask_socket_says_what_1_means_and_that_load_images_mask_is_inverted(pack: Any) -> None:
    seen = 0
    for name, node in pack["nodes"].items():
        for key, (kind, options) in node["inputs"].items():
            if isinstance(kind, str) and "MASK" in kind:
                seen += 1
                assert "1 = selected, opaque" in options["tooltip"], f"{name}.{key}"
                assert "Load Image" in options["tooltip"], f"{name}.{key}"
    assert seen > 20


def test_every_plate_socket_takes_an_image_and_every_guide_socket_a_mask_or_else_a_shot(pack: Any) -> None:
    import matte_core.ops  # noqa: F401  (fills OPS)
    from matte_core.graph import node_types

    accepted = {"plate": "IMAGE,MATTE_SHOT", "matte": "MASK,MATTE_SHOT", "picture": "IMAGE,MASK,MATTE_SHOT"}
    for name, op in node_types().items():
        for port in op.ports:
            if port.type in accepted:
                assert pack["nodes"][name]["inputs"][port.name][0] == accepted[port.type], f"{name}.{port.name}"


def test_every_node_is_found_by_other_words_too(pack: Any) -> None:
    for name, node in pack["nodes"].items():
        assert node["SEARCH_ALIASES"], name


def test_every_matte_that_comes_out_says_what_1_means(pack: Any) -> None:
    import matte_core.ops  # noqa: F401  (fills OPS)
    from matte_core.graph import node_types

    words = ("1 = ", "0 background, 0.5 unknown, 1 foreground")
    for name, op in node_types().items():
        for output in op.outputs:
            if output.type == "matte":
                assert any(word in output.tip for word in words), f"{name}.{output.name}"
    for name, node in pack["nodes"].items():
        for kind, tip in zip(node["RETURN_TYPES"], node["OUTPUT_TOOLTIPS"] or (), strict=True):
            assert kind != "MASK" or "1 = selected, opaque" in tip, name


def test_loading_needs_no_network_and_no_torchvision_and_hides_no_module(pack: Any) -> None:
    assert pack["unwanted"] == []
    assert not pack["hidden"]


def test_heavy_libraries_wait_for_their_first_use(pack: Any) -> None:
    """Where this fails, write `library = late("library")` in place of `import library`."""
    heavy = {"cv2", "OpenImageIO", "PyOpenColorIO", "pymatting", "numba", "scipy", "matplotlib", "rich", "click"}
    assert set(pack["brought"]) & (heavy | {"aiohttp", "skimage", "pandas", "huggingface_hub", "transformers"}) == set()


def test_the_folder_of_the_pack_is_appended_to_the_path_and_never_put_in_front(pack: Any) -> None:
    assert pack["path"][: len(pack["before"])] == pack["before"]
    assert pack["path"][len(pack["before"]) :] in ([], [str(ROOT)])


def test_the_models_folder_is_made_known_to_comfyui(pack: Any) -> None:
    assert pack["models"] == [["matte", "/nowhere/models/matte"]]


def test_loading_is_quick(pack: Any) -> None:
    assert pack["seconds"] < 0.5  # of processor time: how busy the machine is does not count


def test_outside_comfyui_the_root_file_does_nothing() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT.parent)!r}); import {ROOT.name} as pack; print(sorted(vars(pack)))"
    )
    if not ROOT.name.isidentifier():
        pytest.skip("the folder of the checkout is no module name")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "NODE_CLASS_MAPPINGS" not in ran.stdout


def test_every_node_has_a_help_page_that_names_its_inputs_and_outputs(pack: Any) -> None:
    for name, node in pack["nodes"].items():
        page = (ROOT / pack["web"] / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for key in [*node["inputs"], *node["RETURN_NAMES"]] if node["RETURN_TYPES"] else node["inputs"]:
            assert f"`{key}`" in page, f"{name}: run scripts/make_node_docs.py"
    pages = {page.stem for page in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(pack["nodes"])


def test_no_folder_stands_in_the_way_of_the_templates() -> None:
    """ComfyUI serves the first of these folders that it finds, and no other."""
    offered = ("example_workflows", "example", "examples", "workflow", "workflows")
    assert [name for name in offered if (ROOT / name).is_dir()] == ["workflows"]


@pytest.fixture(params=sorted((ROOT / "workflows").glob("*.json")), ids=lambda path: path.stem)
def template(request: pytest.FixtureRequest) -> Path:
    return request.param  # type: ignore[no-any-return]


def test_a_template_has_a_picture_and_only_nodes_that_there_are(template: Path, pack: Any) -> None:
    assert template.with_suffix(".jpg").is_file()
    core = {"MarkdownNote", "PreviewAny"}
    content = json.loads(template.read_text(encoding="utf-8"))
    assert {node["type"] for node in content["nodes"]} <= set(pack["nodes"]) | core


def test_a_template_runs_over_the_bundled_plate_without_comfyui(template: Path, tmp_path: Path, load: Any) -> None:
    import matte_core.ops  # noqa: F401  (fills OPS)
    from matte_core.graph import run_workflow
    from matte_core.paths import Roots

    examples = load("host").EXAMPLES
    if not examples.is_dir():
        pytest.skip("the bundled plate is not here")
    built = run_workflow(template, None, Roots.of([examples], [tmp_path]))
    stills = [receipt for receipt in built.receipts if "clean." in receipt.parameters["pattern"]]
    assert {str(receipt.frames) for receipt in built.receipts if receipt not in stills} == {"1001-1008"}
    assert all(str(tmp_path) in receipt.parameters["pattern"] for receipt in built.receipts)
