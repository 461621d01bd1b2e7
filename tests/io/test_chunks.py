"""Whether an EXR is whole, from its chunk table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.io.chunks import cut_short

Picture = Callable[..., Path]


@pytest.mark.parametrize("codec", ["none", "zip", "zips", "piz", "dwaa", "rle"])
@pytest.mark.parametrize("tile", [0, 16])
def test_a_whole_file_is_whole_and_one_byte_less_is_not(
    tmp_path: Path, picture: Picture, noise: Callable[..., Any], codec: str, tile: int
) -> None:
    path = picture(tmp_path / "a.exr", noise(40, 40, 3), attributes={"compression": codec}, tile=tile)
    assert cut_short(path) == ""
    whole = path.read_bytes()
    for length in (2, 20, 300, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert cut_short(path), length


def test_chunks_never_written_are_counted(tmp_path: Path, picture: Picture, noise: Callable[..., Any]) -> None:
    path = picture(tmp_path / "a.exr", noise(64, 8, 1), ("A",), attributes={"compression": "zip"})
    data = bytearray(path.read_bytes())
    start = min(i for i in range(300, len(data)) if int.from_bytes(data[i : i + 8], "little") == i + 32)
    data[start + 8 : start + 16] = bytes(8)
    path.write_bytes(data)
    assert cut_short(path) == "1 of 4 chunks were never written"


def test_a_file_of_several_parts_is_cut_where_a_part_is_lost(tmp_path: Path, noise: Callable[..., Any]) -> None:
    path = tmp_path / "a.exr"
    specs = [oiio.ImageSpec(16, 64, 3, oiio.HALF) for _ in range(2)]
    for spec, name in zip(specs, ("one", "two"), strict=True):
        spec.attribute("oiio:subimagename", name)
    target = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), tuple(specs))
    assert target.write_image(noise(64, 16, 3))
    assert target.open(str(path), specs[1], "AppendSubimage")
    assert target.write_image(noise(64, 16, 3, 1))
    assert target.close()
    assert cut_short(path) == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert cut_short(path) == "3 of 8 chunks are cut off"


def test_every_good_file_of_others_is_whole(shared: Path) -> None:
    good = [
        path
        for folder in ("windows", "parts", "compressions", "cryptomatte", "deep")
        for path in (shared / folder).glob("*.exr")
    ]
    assert len(good) > 25
    assert {path.name: cut_short(path) for path in good if cut_short(path)} == {}


def test_a_long_header_is_read_to_its_end(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.exr", np.zeros((4, 4, 1), np.float32), attributes={"manifest": "x" * 100_000})
    assert cut_short(path) == ""
    path.write_bytes(path.read_bytes()[:-1])
    assert cut_short(path)


def test_other_formats_say_nothing(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.png", np.zeros((4, 4, 1), np.float32), pixel_type=oiio.UINT8)
    assert cut_short(path) == ""
