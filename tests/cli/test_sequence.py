"""The main job as a person runs it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from .conftest import COUNT, FIRST, HEIGHT, MAIN, OVERSCAN, WIDTH, Folder, Matte, a_picture, load, save

NUMBERS = range(FIRST, FIRST + COUNT)


def contents(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_a_plate_and_a_mask_give_a_matte_at_the_same_numbers_windows_and_timecodes(shot: Folder, matte: Matte) -> None:
    answer = matte(*MAIN, "--out", "out/m.####.exr")
    assert answer.code == 0, answer.error
    assert shot.written == [f"m.{n}.exr" for n in NUMBERS]
    for number in NUMBERS:
        pixels, spec = load(shot / f"out/m.{number}.exr")
        assert spec.channelnames == ("A",) and str(spec.format) == "half"
        assert (spec.x, spec.y, spec.width, spec.height) == (-OVERSCAN, -OVERSCAN, WIDTH + 8, HEIGHT + 8)
        assert (spec.full_x, spec.full_y, spec.full_width, spec.full_height) == (0, 0, WIDTH, HEIGHT)
        assert spec.getattribute("smpte:TimeCode") == load(shot / f"plate.{number}.exr")[1].getattribute(
            "smpte:TimeCode"
        )
        assert spec.getattribute("reelName") == "A001"
        error = np.abs(pixels[..., 0] - a_picture(number)[1])
        assert error.mean() < 0.02
        assert set(np.unique(pixels[[0, -1]])) == {0}


def test_values_below_0_and_far_above_1_arrive_in_the_straight_foreground(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "out/fg.####.exr", "--deliver", "straight").code == 0
    for number in NUMBERS:
        plate, _ = load(shot / f"plate.{number}.exr")
        made, spec = load(shot / f"out/fg.{number}.exr")
        assert spec.channelnames == ("R", "G", "B", "A")
        solid = made[..., 3] == 1
        middle = (HEIGHT // 2 + OVERSCAN, WIDTH // 2 + OVERSCAN + number - FIRST)
        assert solid[middle]
        assert made[middle][:3].tolist() == np.float16([-0.1, 40.0, 0.5]).astype(float).tolist()
        assert np.array_equal(made[solid][:, :3], plate[solid])
        known = solid | (made[..., 3] == 0)
        alpha = made[..., 3:]
        rebuilt = alpha * made[..., :3] + (1 - alpha) * plate
        assert np.abs(rebuilt - plate)[known].max() <= 1e-3


def test_several_deliverables_come_from_one_pull(shot: Folder, matte: Matte) -> None:
    answer = matte(*MAIN, "--out", "out/s.####.exr", "--deliver", "matte,premultiplied,layers", "--json")
    assert answer.code == 0, answer.error
    assert len(shot.written) == 3 * COUNT
    layers, spec = load(shot / f"out/s_layers.{FIRST}.exr")
    index = {name: place for place, name in enumerate(spec.channelnames)}
    assert set(index) == {"R", "G", "B", "A", "straight.R", "straight.G", "straight.B", "matte.A"}
    product = layers[..., index["straight.G"]] * layers[..., index["A"]]
    assert np.allclose(layers[..., index["G"]], product, atol=1e-3, rtol=2e-3)
    assert spec.getattribute("matte/alpha") == "premultiplied"
    events = [event["event"] for event in answer.events]
    assert events.count("frame") == COUNT and events[-1] == "done"


def test_a_second_run_makes_nothing_and_a_damaged_frame_alone_is_made_again(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "out/m.####.exr").code == 0
    first = contents(shot / "out")
    (shot / "out/m.1002.exr").write_bytes((shot / "out/m.1002.exr").read_bytes()[:-300])
    (shot / "out/m.1004.exr").unlink()
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--json")
    assert answer.code == 0, answer.error
    assert [event["number"] for event in answer.events if event["event"] == "frame"] == [1002, 1004]
    assert contents(shot / "out") == first


def test_a_changed_plate_frame_is_the_only_one_made_again(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "out/m.####.exr").code == 0
    os.utime(shot / "plate.1003.exr", (1, 1))
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--json")
    assert [event["number"] for event in answer.events if event["event"] == "frame"] == [1003]


def test_other_settings_need_overwrite(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "out/m.####.exr").code == 0
    before = contents(shot / "out")
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--blur", "2")
    assert answer.code == 6
    assert "m.1001.exr" in answer.sentence and "--overwrite" in answer.sentence
    assert contents(shot / "out") == before
    assert matte(*MAIN, "--out", "out/m.####.exr", "--blur", "2", "--overwrite").code == 0
    assert contents(shot / "out") != before


def test_a_killed_run_goes_on_and_ends_byte_identical(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "whole/m.####.exr", "--deliver", "straight").code == 0
    command = [sys.executable, "-m", "matte_core", *MAIN, "--out", "out/m.####.exr", "--deliver", "straight"]
    process = subprocess.Popen(command, cwd=shot.path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len([name for name in shot.written if name.startswith("m.")]) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = contents(shot / "out")
    assert len([name for name in killed if not name.startswith(".")]) >= 2
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--deliver", "straight", "--json")
    assert answer.code == 0, answer.error
    assert contents(shot / "out") == contents(shot / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_stop_after_the_frame_in_hand_and_lose_nothing(
    shot: Folder, matte: Matte, number: int, code: int
) -> None:
    command = [sys.executable, "-m", "matte_core", *MAIN, "--out", "out/m.####.exr", "--frames", "1001-1005"]
    process = subprocess.Popen(command, cwd=shot.path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not [name for name in shot.written if name.startswith("m.")] and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    if process.returncode == 0:  # it was quicker than the signal
        assert len(shot.written) == COUNT
        return
    assert process.returncode == code
    assert "Run the same command again to go on" in error
    assert not [name for name in shot.written if name.startswith(".")]
    assert matte(*MAIN, "--out", "out/m.####.exr").code == 0
    assert matte(*MAIN, "--out", "whole/m.####.exr").code == 0
    assert contents(shot / "out") == contents(shot / "whole")


def test_a_frame_range_gives_the_same_frames_as_the_whole(shot: Folder, matte: Matte) -> None:
    assert matte(*MAIN, "--out", "whole/m.####.exr").code == 0
    for part in ("1001-1002", "1003-1005x2", "1004"):
        assert matte(*MAIN, "--out", "out/m.####.exr", "--frames", part).code == 0
    assert contents(shot / "out") == contents(shot / "whole")


def test_one_still_mask_is_held_for_the_whole_shot_and_said(shot: Folder, matte: Matte) -> None:
    answer = matte(
        "sequence", "plate.####.exr", "--mask", "mask.1003.png", "--grow", 8, "--shrink", 8, "--out", "out/m.####.exr"
    )
    assert answer.code == 0, answer.error
    assert "One still is held for all 5 frames" in answer.sentence
    assert len(shot.written) == COUNT


def test_named_masks_become_named_instances_in_one_file(shot: Folder, matte: Matte) -> None:
    for number in NUMBERS:
        solid = (a_picture(number)[1] > 0.5).astype(np.float32)
        columns = np.arange(solid.shape[1]) < solid.shape[1] / 2 + number - FIRST
        halves = np.stack([solid * columns, solid * ~columns], axis=-1)
        save(shot / f"ids.{number}.exr", halves, ("left.A", "right.A"), number, OVERSCAN)
    words = ("--mask", "ids.####.exr", "--mask-channel", "left.A,right.A", "--grow", 2, "--shrink", 2)
    answer = matte("sequence", "plate.####.exr", *words, "--out", "out/l.####.exr", "--deliver", "layers")
    assert answer.code == 0, answer.error
    made, spec = load(shot / "out/l.1001.exr")
    index = {name: place for place, name in enumerate(spec.channelnames)}
    left, right, alpha = (made[..., index[name]] for name in ("left.A", "right.A", "A"))
    assert (left == 1).any() and (right == 1).any()
    assert np.allclose(alpha, np.minimum(left + right, 1), atol=1e-3)


def test_display_referred_pictures_are_taken_as_they_are(shot: Folder, matte: Matte) -> None:
    for number in NUMBERS:
        plate, _ = a_picture(number, 0)
        save(shot / f"photo.{number}.png", np.clip(plate, 0, 1), ("R", "G", "B"))
    words = (
        "sequence",
        "photo.####.png",
        "--mask",
        "mask.####.png",
        "--out",
        "out/m.####.exr",
        "--grow",
        3,
        "--shrink",
        3,
    )
    answer = matte(*words, "--deliver", "straight")
    assert answer.code == 0, answer.error
    assert "linear Rec.709" in answer.sentence
    made, spec = load(shot / "out/m.1001.exr")
    code = load(shot / "photo.1001.png")[0]
    decoded = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    solid = made[..., 3] == 1
    assert np.abs(made[solid][:, :3] - decoded[solid]).max() < 1e-3
    assert spec.getattribute("chromaticities") is not None


def test_a_cryptomatte_in_gives_named_soft_instances_and_a_cryptomatte_out(shot: Folder, matte: Matte) -> None:
    (shot / "render").mkdir()
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    masks = [np.hypot(columns - 15, rows - 15) < 9, np.hypot(columns - 32, rows - 15) < 8]
    for name, mask in zip(("left", "right"), masks, strict=True):
        save(shot / f"{name}.png", mask[..., None].astype(np.float32), ("Y",))
    words = ("sequence", "plate.####.exr", "--grow", "3", "--shrink", "3", "--model", "closed-form")
    made = matte(
        *words, "--instances", "left=left.png", "--instances", "right=right.png",
        "--deliver", "cryptomatte", "--out", "render/c.####.exr",
    )  # fmt: skip
    assert made.code == 0, made.error
    again = matte(
        *words, "--mask", "render/c.####.exr", "--cryptomatte", "right,left", "--out", "out/m.####.exr",
        "--deliver", "cryptomatte,layers",
    )  # fmt: skip
    assert again.code == 0, again.error
    pixels, spec = load(shot / f"out/m_layers.{FIRST}.exr")
    places = [spec.channelnames.index(name) for name in ("right.A", "left.A")]
    total = pixels[..., places].astype(np.float64).sum(-1)
    assert total.max() == 1.0 and pixels[..., places].max((0, 1)).tolist() == [1.0, 1.0]
    assert spec.getattribute("matte/overlap").startswith("share: ")
    wrong = matte(*words, "--mask", "render/c.####.exr", "--cryptomatte", "lift", "--out", "out/x.####.exr")
    assert wrong.code == 2 and "Did you mean left?" in wrong.sentence


def test_instances_on_keyframes_are_carried_and_one_that_is_never_seen_is_said(shot: Folder, matte: Matte) -> None:
    for number in (FIRST, NUMBERS[-1]):
        for name, mask in (("hero", a_picture(number, 0)[1] > 0.5), ("ghost", np.zeros((HEIGHT, WIDTH)))):
            save(shot / f"{name}.{number}.png", np.asarray(mask, np.float32)[..., None], ("Y",))
    words = ("sequence", "plate.####.exr", "--instances", "hero=hero.####.png", "--instances", "ghost=ghost.####.png")
    between = matte(*words, "--out", "out/m.####.exr")
    assert between.code == 3 and "hero.1002.png is missing" in between.sentence
    answer = matte(*words, "--keyframes", f"{FIRST},{NUMBERS[-1]}", "--out", "out/m.####.exr")
    assert answer.code == 0 and "Nothing is selected of ghost" in answer.sentence, answer.error
    for number in NUMBERS:
        pixels, spec = load(shot / f"out/m.{number}.exr")
        hero, ghost = (pixels[..., spec.channelnames.index(f"{name}.A")] for name in ("hero", "ghost"))
        assert not ghost.any() and np.abs(hero - a_picture(number)[1])[OVERSCAN:-OVERSCAN].mean() < 0.05


def test_without_distances_a_network_finds_the_trimap(shot: Folder, matte: Matte) -> None:
    words = ("sequence", "plate.####.exr", "--mask", "mask.####.png", "--model", "closed-form-device", "--frames", 1001)
    assert matte(*words, "--out", "net/m.####.exr").code == 0
    assert matte(*words, "--out", "named/m.####.exr", "--trimap-model", "net_t-small").code == 0
    assert matte(*words, "--out", "fixed/m.####.exr", "--trimap-model", "none").code == 0
    assert matte(*words, "--out", "hand/m.####.exr", "--grow", 16).code == 0
    network, named, fixed, hand = (load(shot.path / f / "m.1001.exr")[0] for f in ("net", "named", "fixed", "hand"))
    assert np.array_equal(network, named) and np.array_equal(fixed, hand)
    assert not np.array_equal(network, fixed)
    assert network.shape == fixed.shape and np.isfinite(network).all()


def test_a_trimap_model_needs_a_mask_and_must_be_one(shot: Folder, matte: Matte) -> None:
    words = ("sequence", "plate.####.exr", "--out", "out/m.####.exr")
    answer = matte(*words, "--trimap", "mask.####.png", "--trimap-model", "net_t-small")
    assert answer.code == 2 and "Give --mask, or leave --trimap-model out" in answer.sentence
    answer = matte(*words, "--mask", "mask.####.png", "--trimap-model", "net_x-small")
    assert answer.code == 4 and "there is no model 'net_x-small'" in answer.sentence


def test_one_trimap_is_carried_through_the_shot_or_held_where_no_network_is_wanted(shot: Folder, matte: Matte) -> None:
    for number in (1002, 1003, 1004, 1005):
        (shot / f"trimap.{number}.png").unlink(missing_ok=True)
    alpha = a_picture(FIRST)[1][..., None]
    save(shot / "trimap.1001.png", np.where(alpha < 0.02, 0, np.where(alpha > 0.98, 1, 0.5)), ("Y",))
    words = ("sequence", "plate.####.exr", "--trimap", "trimap.####.png", "--keyframes", "1001", "--cuts", "none")
    wrong = {}
    for name in ("auto", "none"):
        answer = matte(*words, "--trimap-model", name, "--out", "out/m.####.exr", "--overwrite")
        assert answer.code == 0, answer.error
        assert shot.written == [f"m.{n}.exr" for n in NUMBERS]
        wrong[name] = np.abs(load(shot / "out/m.1005.exr")[0][..., 0] - a_picture(1005)[1]).mean()
    assert wrong["auto"] < wrong["none"]
    answer = matte(*words[:4], "--keyframes", "1050", "--out", "out/n.####.exr")
    assert answer.code == 2 and "keyframe" in answer.sentence


def test_one_mask_is_carried_through_the_shot_and_a_second_key_makes_only_its_neighbours_again(
    shot: Folder, matte: Matte
) -> None:
    for number in (1002, 1003, 1004):
        (shot / f"mask.{number}.png").unlink()
    carried = ("sequence", "plate.####.exr", "--mask", "mask.####.png", "--model", "flow-mask", "--cuts", "none")
    assert matte(*carried, "--keyframes", "1001", "--out", "out/m.####.exr").code == 0
    assert shot.written == [f"m.{n}.exr" for n in NUMBERS]
    for number in NUMBERS:
        assert np.abs(load(shot / f"out/m.{number}.exr")[0][..., 0] - a_picture(number)[1]).mean() < 0.05
    before = contents(shot / "out")
    answer = matte(*carried, "--out", "out/m.####.exr", "--json")
    assert answer.code == 0 and answer.events[-1]["message"] == "Done: 5 frames."
    changed = {name for name, digest in contents(shot / "out").items() if digest != before[name]}
    assert changed == {f"m.{n}.exr" for n in (1002, 1003, 1004, 1005)}
