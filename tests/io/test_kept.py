"""Kept frames: exact, by stamp, in bounds, dropped longest unused first, and never in the way of the work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matte_core.aside import pack, unpack
from matte_core.compose import refine_matte
from matte_core.errors import FrameError, SourceError
from matte_core.frame import Frame, Pixels
from matte_core.io.kept import KeptFrames
from matte_core.plan import Plan
from matte_core.pull import LANES, Run
from matte_core.shot import Shot, make
from matte_core.verb import VERBS, Declaration, Job, Result, Verb

SIZE = (1, 24, 40)


@pytest.fixture
def computed() -> Iterator[list[int]]:
    """Numbers of the frames that the test's network computed; its state says how many came before."""
    numbers: list[int] = []

    def compute(job: Job) -> Result:
        numbers.extend(job.numbers)
        state = job.state or 0
        made = []
        for number in job.numbers:
            state += number
            frame = job.one(0, number)
            made.append(frame.having(frame.pixels * np.float32(0.5) + np.float32(state * job.parameter("carry"))))
        return Result(made, state)

    def declare(parameters: Any) -> Declaration:
        return Declaration(lane="device", carries=bool(parameters["carry"]), warm_up=None, batch=2)

    VERBS["t network"] = Verb("t network", compute, declare=declare)
    yield numbers
    del VERBS["t network"]


def matte(shot_of: Any, count: int = 6, carry: int = 0) -> Shot:
    values = [np.full(SIZE, 0.25 * (place + 1), np.float32) for place in range(count)]
    return make("t network", [shot_of(values)], {"carry": carry})


def pulled(shot: Shot, folder: Path, numbers: Any = None, limit: int = 10**9) -> dict[int, Frame]:
    plan = Plan([(shot, shot.frames if numbers is None else numbers)], KeptFrames(folder, limit))
    return {frame.number: frame for frame in Run(plan)}


def size_of_one(shot: Shot, folder: Path) -> int:
    """Bytes that one frame is counted as."""
    pulled(shot, folder / "one", [1001])
    return next((folder / "one").glob("*.npz")).stat().st_size + 500


@pytest.mark.parametrize("seed", range(5))
def test_pixels_are_packed_and_unpacked_bit_for_bit(seed: int) -> None:
    dice = np.random.default_rng(seed)
    pixels = dice.choice(np.float32([0, 1, 0.5, -0.0, np.nan, np.inf, 1e-40, 40]), (2, 7, 9)).astype(np.float32)
    assert unpack(*pack(pixels), pixels.shape).tobytes() == pixels.tobytes()


def test_a_matte_takes_a_few_percent_of_its_size() -> None:
    pixels: Pixels = np.zeros((1, 400, 400), np.float32)
    pixels[:, 100:300, 100:300] = 1
    pixels[:, 100:102] = 0.5
    assert sum(part.nbytes for part in pack(pixels)) < 0.08 * pixels.nbytes


@pytest.mark.parametrize("carry", [0, 1])
def test_what_was_computed_once_is_fetched_the_same_and_its_inputs_are_not_read(
    carry: int, tmp_path: Path, shot_of: Any, computed: list[int]
) -> None:
    shot = matte(shot_of, carry=carry)
    first = pulled(shot, tmp_path)
    computed.clear()
    plan = Plan([(shot, shot.frames)], KeptFrames(tmp_path))
    assert {unit.shot.verb for unit in plan.units} == {"t network"}  # no frame of the plate is planned
    again = {frame.number: frame for frame in Run(plan)}
    assert computed == []
    for number, frame in first.items():
        assert frame.pixels.tobytes() == again[number].pixels.tobytes()
        assert (frame.header, frame.number) == (again[number].header, again[number].number)


@pytest.mark.parametrize("carry", [0, 1])
def test_what_is_only_partly_kept_gives_the_same_frames(
    carry: int, tmp_path: Path, shot_of: Any, computed: list[int]
) -> None:
    shot = matte(shot_of, carry=carry)
    whole = {number: frame.pixels for number, frame in pulled(shot, tmp_path / "none").items()}
    pulled(shot, tmp_path / "some", [1002, 1005])
    computed.clear()
    partly = pulled(shot, tmp_path / "some")
    assert all(np.array_equal(whole[number], frame.pixels) for number, frame in partly.items())
    # A state is carried from the first frame, so that what comes before a gap is run again; else nothing is.
    assert computed == ([1001, 1003, 1004, 1006] if carry == 0 else [1001, 1002, 1003, 1004, 1005, 1006])


def test_other_settings_are_other_frames(tmp_path: Path, shot_of: Any, computed: list[int]) -> None:
    shot = matte(shot_of)
    pulled(shot, tmp_path)
    pulled(make("t network", shot.inputs, {"carry": 0, "other": 1}), tmp_path)
    assert len(computed) == 12


def test_it_keeps_within_its_bytes_and_drops_the_longest_unused(
    tmp_path: Path, shot_of: Any, computed: list[int]
) -> None:
    shot = matte(shot_of)
    limit = 4 * size_of_one(shot, tmp_path)
    pulled(shot, tmp_path, [1001, 1002], limit)
    for place, file in enumerate(sorted(tmp_path.glob("*.npz"))):
        os.utime(file, (1000 + place, 1000 + place))
    pulled(shot, tmp_path, [1003, 1004, 1005], limit)
    assert sum(file.stat().st_size for file in tmp_path.glob("*.npz")) <= limit
    computed.clear()
    pulled(shot, tmp_path, [1003, 1004, 1005], limit)
    assert computed == []


def test_a_shot_too_large_for_it_keeps_its_beginning(tmp_path: Path, shot_of: Any, computed: list[int]) -> None:
    """Dropping the longest unused of one shot that is read in order would keep nothing that is asked for next."""
    shot = matte(shot_of)
    limit = round(2.5 * size_of_one(shot, tmp_path))
    pulled(shot, tmp_path, limit=limit)
    computed.clear()
    pulled(shot, tmp_path, limit=limit)
    assert computed == [1003, 1004, 1005, 1006]


def test_a_folder_that_cannot_be_written_to_keeps_nothing_and_costs_nothing(
    tmp_path: Path, shot_of: Any, computed: list[int]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(pulled(matte(shot_of), tmp_path / "file" / "folder")) == 6
    assert len(computed) == 6


def test_a_damaged_file_is_one_sentence_and_gone_for_the_next_run(
    tmp_path: Path, shot_of: Any, computed: list[int]
) -> None:
    shot = matte(shot_of)
    pulled(shot, tmp_path, [1001])
    next(tmp_path.glob("*.npz")).write_bytes(b"PK no")
    with pytest.raises(FrameError, match="what was kept of frame 1001 is gone") as caught:
        pulled(shot, tmp_path, [1001])
    assert isinstance(caught.value.cause, SourceError)
    computed.clear()
    assert len(pulled(shot, tmp_path, [1001])) == 1
    assert computed == [1001]


def test_only_the_device_lane_is_kept(tmp_path: Path, shot_of: Any, computed: list[int]) -> None:
    shot = refine_matte(matte(shot_of), blur=1)
    list(Run(Plan([(shot, shot.frames)], KeptFrames(tmp_path)), lanes=LANES))
    assert len(list(tmp_path.glob("*.npz"))) == 6
    assert not list(tmp_path.glob(".*"))
