"""Named instances: they agree, keep their names, are picked, shown in colours, and come out of ID passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from matte_core import ops
from matte_core.colour import load_config, resolve_space
from matte_core.deliver import layer_names
from matte_core.engine.engine import Engine
from matte_core.errors import UsageError
from matte_core.frame import FrameRange, Header, Pixels, Window
from matte_core.instances import agree, agreed, colours, in_colours, picked, read_id_pass
from matte_core.io.image import read_header, read_pixels
from matte_core.memory import hold
from matte_core.models.weights import find
from matte_core.passes import carried_from_keys
from matte_core.plan import Plan
from matte_core.pull import SERIAL, Run, frames
from matte_core.shot import Shot


def a_matte(pixels: Pixels, names: tuple[str, ...]) -> Shot:
    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    header = Header(window, window)
    return hold(lambda place: pixels, 1, FrameRange([1001]), kind="matte", header=header, channels=names)


def made(shot: Shot) -> Pixels:
    return next(iter(frames(shot))).pixels


def clashing(count: int = 5) -> Pixels:
    return np.random.default_rng(3).random((count, 40, 50)).astype(np.float32) ** 2


@pytest.mark.parametrize("rule", ["share", "front first"])
@pytest.mark.parametrize("half", [False, True])
def test_instances_never_add_up_to_more_than_one_also_in_half(rule: str, half: bool) -> None:
    layers = clashing()
    settled = agree(layers, rule, half)
    stored = settled.astype(np.float16).astype(np.float64) if half else settled.astype(np.float64)
    assert stored.sum(0).max() == 1.0 and settled.min() >= 0
    untouched = layers.sum(0) < 0.99
    assert untouched.any() and (settled[:, untouched] == layers[:, untouched]).all()
    over = layers.sum(0) > 1
    assert (stored.sum(0)[over] == 1).all()


def test_shared_alphas_keep_their_proportions_and_the_front_keeps_its_own() -> None:
    layers = np.array([[[0.8]], [[0.8]], [[0.4]]], np.float32)
    assert np.allclose(agree(layers, "share")[:, 0, 0], [0.4, 0.4, 0.2], atol=1e-6)
    assert np.allclose(agree(layers, "front first")[:, 0, 0], [0.8, 0.2, 0.0], atol=1e-6)
    assert (agree(layers, "keep") == layers).all()


def test_one_instance_and_an_empty_one_are_left_as_they_are() -> None:
    alone = a_matte(clashing(1), ("hero",))
    assert agreed(alone) is alone
    layers = np.concatenate([clashing(1), np.zeros((1, 40, 50), np.float32)])
    assert made(agreed(a_matte(layers, ("hero", "gone")))).tobytes() == layers.tobytes()


def test_instances_are_picked_in_order_and_renamed() -> None:
    layers = clashing(3)
    shot = picked(a_matte(layers, ("a", "b", "c")), "c, first = a")
    assert shot.channels == ("c", "first") and made(shot).tobytes() == layers[[2, 0]].tobytes()
    for text, sentence in (
        ("d", "no instance 'd'. It has: a, b, c"),
        ("", "No instance was picked"),
        ("x=a,x=b", "Two"),
    ):
        with pytest.raises(UsageError, match=sentence):
            picked(a_matte(layers, ("a", "b", "c")), text)


def test_every_instance_has_a_colour_of_its_own() -> None:
    drawn = colours(20)
    apart = np.abs(drawn[:, None] - drawn[None]).max(-1) + np.eye(20)
    assert apart.min() > 0.05 and (colours(3) == drawn[:3]).all()
    layers = np.zeros((2, 1, 2), np.float32)
    layers[1, 0, 0] = 0.5
    shot = in_colours(a_matte(layers, ("a", "b")))
    shown = made(shot)
    assert shot.header.linear and resolve_space(load_config(), shot.header, "", shot.header.colour_space).space
    assert np.allclose(shown[:, 0, 0], drawn[1] / 2) and not shown[:, 0, 1].any()


def test_an_id_pass_of_numbers_becomes_masks_by_name(tmp_path: Path) -> None:
    ids = np.zeros((20, 30), np.uint8)
    ids[2:8, 3:9], ids[10:15, 4:20] = 3, 200
    cv2.imwrite(str(tmp_path / "id.0001.png"), ids)
    shot = read_id_pass(str(tmp_path / "id.####.png"), "hero=200, prop=3, never=9")
    assert shot.channels == ("hero", "prop", "never")
    assert (made(shot) == np.stack([ids == 200, ids == 3, ids == 9])).all()
    assert read_id_pass(str(tmp_path / "id.####.png")).channels == ("id_3", "id_200")


def test_an_id_pass_of_flat_colours_becomes_masks_by_name(tmp_path: Path) -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[2:8, 3:9], picture[10:15, 4:20] = (0, 0, 255), (128, 0, 0)  # BGR
    cv2.imwrite(str(tmp_path / "id.0001.png"), picture)
    masks = made(read_id_pass(str(tmp_path / "id.####.png"), "hero=#ff0000, prop=#000080"))
    assert (masks == np.stack([picture[..., 2] == 255, picture[..., 0] == 128])).all()


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [("hero", "names no id"), ("hero=1,hero=2", "Two instances"), ("a=1,b=#ff0000", "mixes numbers and colours")],
)
def test_ids_that_mean_nothing_are_refused(tmp_path: Path, ids: str, sentence: str) -> None:
    cv2.imwrite(str(tmp_path / "id.png"), np.eye(9, dtype=np.uint8))
    with pytest.raises(UsageError, match=sentence):
        read_id_pass(str(tmp_path / "id.png"), ids)


def test_a_layer_has_a_name_that_nuke_keeps_and_the_file_says_the_true_one(tmp_path: Path) -> None:
    names = ("/set/prop:03", "2nd hero", "Hero", "hero", "A")
    shot = a_matte(clashing(5), names)
    assert layer_names(shot) == ("set_prop_03", "matte_2nd_hero", "Hero", "hero_2", "matte")
    for receipt in ops.write_sequence(shot, str(tmp_path / "m.####.exr")):
        list(frames(receipt))
    said = read_header(tmp_path / "m.1001.exr")
    assert {"Hero.A", "hero_2.A", "set_prop_03.A"} <= set(said.parts[0].channels)
    assert json.loads(said.written["matte/names"])["set_prop_03"] == "/set/prop:03"
    assert said.written["matte/overlap"].startswith("share: ") and said.written["matte/total"] == "at most 1"
    pixels, _ = read_pixels(tmp_path / "m.1001.exr", said.parts[0].channels)
    assert pixels.astype(np.float64).sum(0).max() == 1.0


def test_each_instance_has_a_file_of_its_own(tmp_path: Path) -> None:
    shot = a_matte(clashing(2) / 2, ("hero", "prop"))
    for receipt in ops.write_sequence(shot, str(tmp_path / "m.####.exr"), deliver="instances", depth="float"):
        list(frames(receipt))
    for place, name in enumerate(("hero", "prop")):
        pixels, _ = read_pixels(tmp_path / f"m_{name}.1001.exr", ["A"])
        assert pixels[0].tobytes() == made(shot)[place].tobytes()


def test_masks_of_several_instances_on_two_keyframes_are_carried_between_by_flow(shot_of: Any) -> None:
    dice = np.random.default_rng(4).random((2, 3, 128, 128)).astype(np.float32)
    ground, skin = (np.stack([cv2.GaussianBlur(each, (0, 0), 2) for each in texture]) for texture in dice)
    rows, columns = np.mgrid[0:128, 0:128]

    def discs(time: int) -> Pixels:
        centres = ((40, 24 + 5 * time), (92, 100 - 4 * time))
        return np.stack([np.hypot(rows - y, columns - x) < 18 for y, x in centres]).astype(np.float32)

    plates = []
    for time in range(9):
        moved = (np.roll(skin, way, 2) * 0.5 + add for way, add in ((5 * time, 0.4), (-4 * time, 0.1)))
        plate = ground * 0.3
        for mask, colour in zip(discs(time), moved, strict=True):
            plate = np.where(mask > 0, colour, plate)
        plates.append(plate.astype(np.float32))
    keys = replace(shot_of([discs(0), discs(8)], "1001,1009"), channels=("hero", "dog"))
    carried = carried_from_keys(shot_of(plates), keys, "flow-mask", "auto", torch.device("cpu"), cuts="none")
    run = Run(Plan([(carried, carried.frames)]), lanes=SERIAL, tools=Engine(torch.device("cpu"), find))
    found = [frame.pixels for frame in run]
    assert carried.channels == ("hero", "dog") and len(found) == 9
    for time in (2, 4, 6):
        selected, true = found[time] > 0.5, discs(time) > 0.5
        overlap = (selected & true).sum((1, 2)) / (selected | true).sum((1, 2))
        assert (overlap > 0.85).all(), overlap
