"""Writes workflows/*.json, the graphs that ComfyUI offers as templates, and a picture of what each makes.

Usage: make_workflows.py [FOLDER] [--pictures [NAME ...]]. Run it after an operation got a new widget. With
--pictures each graph is executed on the bundled plates, node by node, and its results are drawn: look at them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lab
from workflow_graph import Graph

PLATE, MASK, BACKGROUND = "plate/plate.####.exr", "plate/mask.####.png", "plate/background.exr"
SCREEN, SCREEN_MASK = "screen/screen.####.exr", "screen/mask.####.png"
FRAME = 1005
Shown = tuple[str, int] | tuple[str, int, int]


@dataclass(frozen=True)
class Workflow:
    """A graph, and what its picture shows: (caption, node), or (caption, foreground, its matte) over grey."""

    name: str
    graph: Graph
    shown: Sequence[Shown]


def _sources(graph: Graph) -> tuple[int, int]:
    """The bundled plate and a rough mask of it."""
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=PLATE)
    return plate, graph.add("MatteReadMatte", 0, 10, title="Mask", path=MASK)


def _alpha(graph: Graph, plate: int, mask: int) -> int:
    """Its alpha, through a trimap around the mask's edge."""
    trimap = graph.add("MatteTrimapFromMask", 1, 10, {"mask": mask}, shrink=12, grow=26)
    return graph.add("MatteEstimateAlpha", 2, 0, {"plate": plate, "guide": trimap}, title="Alpha")


def mask_to_matte() -> Workflow:
    graph = Graph()
    plate, mask = _sources(graph)
    alpha = _alpha(graph, plate, mask)
    graph.add("MattePreview", 3, 0, {"plate": plate, "matte": alpha})
    graph.add("MatteWriteSequence", 3, 12, {"matte": alpha, "plate": plate}, title="Write", out="matte/matte.####.exr")
    graph.note(
        "## Mask to matte\n\nA rough mask becomes a trimap, the trimap an alpha that holds hair and motion blur. "
        "The path is looked up in ComfyUI's input folder, then in the bundled examples. "
        "Write makes one EXR per frame, channel A, and goes on where it was stopped."
    )
    return Workflow(
        "mask_to_matte", graph, [("plate", plate), ("mask", mask), ("matte", alpha), ("over grey", plate, alpha)]
    )


def net_t_to_net_m() -> Workflow:
    graph = Graph()
    plate, mask = _sources(graph)
    trimap = graph.add("MatteEstimateTrimap", 1, 6, {"plate": plate, "mask": mask}, title="Net-T")
    guided = {"plate": plate, "guide": trimap}
    alpha = graph.add("MatteEstimateAlpha", 2, 0, guided, title="Net-M")
    graph.add("MatteViewer", 3, 0, {"plate": plate, "matte": alpha})
    graph.add("MattePreview", 2, 10, {"plate": plate, "matte": trimap}, title="Trimap")
    graph.add("MatteWriteSequence", 3, 14, {"matte": alpha, "plate": plate}, title="Write", out="net_t/matte.####.exr")
    graph.note(
        "## Net-T to Net-M\n\nOne network looks at the plate and the rough mask and says where the subject surely is "
        "and is not; the other finds the alpha in between. No width to set: compare with Trimap from Mask. Joint "
        "Matte does both in one node and weighs the two answers."
    )
    return Workflow("net_t_to_net_m", graph, [("plate", plate), ("mask", mask), ("trimap", trimap), ("matte", alpha)])


def foreground_and_composite() -> Workflow:
    graph = Graph()
    plate, mask = _sources(graph)
    alpha = _alpha(graph, plate, mask)
    foreground = graph.add("MatteEstimateForeground", 3, 0, {"plate": plate, "matte": alpha}, title="Foreground")
    other = graph.add("MatteReadPlate", 3, 4, title="Background", path=BACKGROUND)
    comp = graph.add("MatteOver", 4, 0, {"foreground": foreground, "matte": alpha, "background": other}, title="Comp")
    graph.add("MattePreview", 5, 0, {"plate": comp})
    graph.add("MatteWritePlate", 5, 12, {"plate": comp}, title="Write comp", out="composite/comp.####.exr")
    graph.add(
        "MatteWriteSequence",
        4,
        5,
        {"matte": alpha, "plate": plate, "foreground": foreground},
        title="Write foreground",
        out="composite/foreground.####.exr",
        deliver="premultiplied",
    )
    graph.note(
        "## Foreground and composite\n\nThe subject's own colour, without what shone through its edge, over another "
        "background in linear light. Connect any IMAGE or plate as the background. Write foreground delivers what "
        "Merge (over) expects: premultiplied RGB and A."
    )
    shown: list[Shown] = [("plate", plate), ("matte", alpha), ("foreground", foreground), ("composite", comp)]
    return Workflow("foreground_and_composite", graph, shown)


def refine_and_compare() -> Workflow:
    graph = Graph()
    plate, mask = _sources(graph)
    trimap = graph.add("MatteTrimapFromMask", 1, 10, {"mask": mask}, shrink=12, grow=26)
    guided = {"plate": plate, "guide": trimap}
    first = graph.add("MatteEstimateAlpha", 2, 0, guided, title="Net-M small")
    second = graph.add("MatteEstimateAlpha", 2, 10, guided, title="Closed form", model="closed-form-device")
    refined = graph.add("MatteRefineMatte", 3, 0, {"matte": first}, title="Refine", black=0.02, white=0.98, blur=0.5)
    apart = graph.add("MatteDifference", 3, 10, {"first": first, "second": second}, title="Difference", gain=4.0)
    wiped = {"plate": plate, "matte": refined, "compare_plate": plate, "compare_matte": second}
    graph.add("MatteViewer", 4, 0, wiped, title="Net-M against closed form")
    graph.add("MattePreview", 5, 0, {"matte": apart}, title="Where they differ")
    graph.add("MatteWriteSequence", 4, 13, {"matte": refined, "plate": plate}, title="Write", out="refined/m.####.exr")
    graph.note(
        "## Refine and compare\n\nTwo models on one trimap and where they differ, four times brighter; black clip, "
        "white clip, grow, blur and gamma, the controls of every keyer. The viewer wipes between them and scrubs the "
        "shot: what was seen before costs nothing."
    )
    shown: list[Shown] = [("plate", plate), ("refined", refined), ("closed form", second), ("difference x 4", apart)]
    return Workflow("refine_and_compare", graph, shown)


def exr_layers() -> Workflow:
    graph = Graph()
    plate, mask = _sources(graph)
    alpha = _alpha(graph, plate, mask)
    foreground = graph.add("MatteEstimateForeground", 3, 0, {"plate": plate, "matte": alpha}, title="Foreground")
    info = graph.add("MatteShotInfo", 1, 0, {"shot": plate})
    graph.add("PreviewAny", 1, 4, {"source": info})
    graph.add(
        "MatteWriteSequence",
        4,
        0,
        {"matte": alpha, "plate": plate, "foreground": foreground},
        title="Write",
        out="layers/shot.####.exr",
        deliver="layers,matte",
        compression="zips",
    )
    graph.note(
        "## EXR batch in layers\n\nOne file per frame for the compositor: premultiplied RGBA, straight foreground and "
        "a layer per matte, under the plate's own header: windows, timecode, frame numbers; and the matte alone "
        "beside it. One pull makes both. Shot Info says what the plate is."
    )
    layers: list[Shown] = [("R G B", foreground, alpha), ("A", alpha), ("straight R G B", foreground)]
    return Workflow("exr_layers", graph, [("plate", plate), *layers])


def clean_plate_and_despill() -> Workflow:
    graph = Graph()
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=SCREEN)
    mask = graph.add("MatteReadMatte", 0, 10, title="Mask", path=SCREEN_MASK)
    clean = graph.add("MatteCleanPlate", 1, 0, {"plate": plate, "matte": mask}, title="Clean plate")
    keyed = graph.add("MatteDifferenceMatte", 1, 8, {"plate": plate, "clean_plate": clean})
    alpha = graph.add("MatteEstimateAlpha", 2, 0, {"plate": plate, "guide": (keyed, 1)}, title="Alpha")
    foreground = graph.add("MatteEstimateForeground", 3, 0, {"plate": plate, "matte": alpha}, title="Foreground")
    despilled = graph.add(
        "MatteDespill", 3, 4, {"plate": foreground, "clean_plate": clean}, title="Despill", screen="clean plate"
    )
    graph.add("MatteViewer", 4, 0, {"plate": plate, "matte": alpha, "foreground": despilled})
    graph.add("MatteWritePlate", 2, 8, {"plate": clean}, title="Write clean plate", out="despill/clean.####.exr")
    graph.add(
        "MatteWriteSequence",
        4,
        12,
        {"matte": alpha, "plate": plate, "foreground": despilled},
        title="Write",
        out="despill/shot.####.exr",
        deliver="premultiplied",
    )
    graph.note(
        "## Clean plate and despill\n\nThe camera is locked off, the subject walks: the screen without her is put "
        "together from the shot itself. What differs from it becomes the trimap, and its colour is what is taken off "
        "her edges. Connect a photographed clean plate instead where there is one."
    )
    subject: list[Shown] = [("foreground", foreground, alpha), ("despilled", despilled, alpha)]
    return Workflow("clean_plate_and_despill", graph, [("plate", plate), ("clean plate", clean), *subject])


def instances() -> Workflow:
    graph = Graph()
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=PLATE)
    head = graph.add("MatteReadMatte", 0, 8, title="Head", path="plate/head.####.png")
    jacket = graph.add("MatteReadMatte", 0, 14, title="Jacket", path="plate/jacket.####.png")
    masks = graph.add("MatteInstancesFromMasks", 1, 8, {"mask_1": head, "mask_2": jacket}, names="head,jacket")
    told = {"plate": plate, "instances": masks}
    mattes = graph.add("MatteInstanceMatte", 2, 0, told, title="Instance Matte", model="maggie-small")
    coloured = graph.add("MatteInstanceColours", 3, 0, {"matte": mattes}, title="ID colours")
    graph.add("MattePreview", 4, 0, {"plate": coloured})
    graph.add("MatteWriteCryptomatte", 3, 6, {"matte": mattes, "plate": plate}, out="instances/crypto.####.exr")
    graph.add(
        "MatteWriteSequence",
        3,
        15,
        {"matte": mattes, "plate": plate},
        title="Write layers",
        out="instances/layers.####.exr",
        deliver="layers",
    )
    graph.note(
        "## Several subjects\n\nA rough mask for each person or thing, one soft matte for each, which together never "
        "cover more than 1. Written as named layers (head.A, jacket.A) and as a Cryptomatte that Nuke picks by name. "
        "Instances from ID Pass and Instances from Cryptomatte take the place of the masks where there is one."
    )
    shown: list[Shown] = [("plate", plate), ("masks", masks), ("ID colours of the mattes", coloured)]
    return Workflow("instances", graph, [*shown, ("all together", mattes)])


def portrait() -> Workflow:
    graph = Graph()
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=PLATE)
    alpha = graph.add("MattePortraitMatte", 1, 0, {"plate": plate}, title="Portrait Matte")
    steady = graph.add("MatteSmoothMatte", 2, 0, {"plate": plate, "matte": alpha}, title="Smooth Matte")
    graph.add("MatteViewer", 3, 0, {"plate": plate, "matte": steady})
    graph.add("MatteWriteSequence", 3, 14, {"matte": steady, "plate": plate}, out="portrait/matte.####.exr")
    graph.note(
        "## No guide at all\n\nThe subject is found in each frame by itself, then Smooth Matte takes the flicker out. "
        "portrait-small was learned on made-up figures, never on people: take its matte for a first mask (Joint Matte "
        "finishes it), or bring a checkpoint of your own: `matte weights convert portrait --from FILE`."
    )
    shown: list[Shown] = [("plate", plate), ("frame by frame", alpha), ("smooth", steady)]
    return Workflow("portrait", graph, [*shown, ("over grey", plate, steady)])


def one_trimap_for_a_shot() -> Workflow:
    graph = Graph()
    plate = graph.add("MatteReadPlate", 0, 0, title="Plate", path=PLATE)
    drawn = graph.add("MatteReadMatte", 0, 10, title="Mask on one frame", path="plate/mask.1003.png")
    key = graph.add("MatteTrimapFromMask", 1, 10, {"mask": drawn}, title="Trimap on one frame", shrink=12, grow=26)
    carried = graph.add("MattePropagateTrimap", 2, 8, {"plate": plate, "trimap": key}, keys="1003")
    told = {"plate": plate, "guide": carried}
    alpha = graph.add("MatteVideoMatte", 3, 0, told, title="Video Matte", model="dvm-small")
    graph.add("MatteViewer", 4, 0, {"plate": plate, "matte": alpha})
    graph.add("MattePreview", 3, 13, {"plate": plate, "matte": carried}, title="Carried trimap")
    graph.add("MatteWriteSequence", 4, 14, {"matte": alpha, "plate": plate}, title="Write", out="video/matte.####.exr")
    graph.note(
        "## One trimap for a shot\n\nOne frame's trimap, drawn or made of a mask, is carried along the plate's "
        "motion to all others, before and after it; dvm-small looks at two frames before and after for a steady edge. "
        "Where it drifts, give a sequence of trimaps and name their frames in keys (1003,1040): only what lies between "
        "is made again."
    )
    shown: list[Shown] = [("plate", plate), ("carried from frame 1003", carried), ("matte", alpha)]
    return Workflow("one_trimap_for_a_shot", graph, [*shown, ("over grey", plate, alpha)])


WORKFLOWS = (
    mask_to_matte,
    net_t_to_net_m,
    foreground_and_composite,
    refine_and_compare,
    exr_layers,
    clean_plate_and_despill,
    instances,
    portrait,
    one_trimap_for_a_shot,
)


def draw(workflow: Workflow, folder: Path) -> None:
    """The picture beside the workflow file: what its nodes made of the bundled plates."""
    with lab.aside():
        made = lab.execute(folder / f"{workflow.name}.json")
        panels = [
            (caption, lab.picture(made[str(node)][0], FRAME, *(made[str(matte)][0] for matte in mattes)))
            for caption, node, *mattes in workflow.shown
        ]
    lab.save(lab.sheet(panels, columns=2), folder / f"{workflow.name}.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=lab.ROOT / "workflows")
    parser.add_argument("--pictures", nargs="*", metavar="NAME", help="draw these as well; without names, all of them")
    arguments = parser.parse_args()
    for make in WORKFLOWS:
        workflow = make()
        workflow.graph.save(arguments.folder / f"{workflow.name}.json")
        if arguments.pictures is not None and workflow.name in (arguments.pictures or [workflow.name]):
            draw(workflow, arguments.folder.resolve())


if __name__ == "__main__":
    main()
