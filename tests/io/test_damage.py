"""Files that are broken, empty, too large or not what they say: a sentence each, and no noise."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core.errors import SourceError
from matte_core.io import image
from matte_core.io.image import read_header, read_pixels, scrub

ROOT = Path(__file__).parents[2]
Picture = Callable[..., Path]
Noise = Callable[..., Any]


def test_colour_at_half_resolution_is_refused(shared: Path) -> None:
    with pytest.raises(SourceError, match=r"comp_b44\.exr \(frame 3\) keeps its colour at half resolution"):
        read_header(shared / "compressions" / "comp_b44.exr", 3)


@pytest.mark.parametrize("name", ["11.deep.exr", "tinydeep.exr"])
def test_deep_files_are_refused_and_never_read_as_noise(shared: Path, name: str) -> None:
    path = shared / "deep" / name
    channels = read_header(path).parts[0].channels
    with pytest.raises(SourceError, match="deep samples"):
        read_pixels(path, channels)


@pytest.mark.parametrize("name", ["partial.exr", "tiled.exr"])
def test_missing_tiles_are_an_error(shared: Path, name: str) -> None:
    with pytest.raises(SourceError, match=f"{name} .*cut short or damaged"):
        read_pixels(shared / "odd" / name, ("R", "G", "B"))


def test_damaged_files_end_in_a_sentence_and_not_in_a_crash(shared: Path, tmp_path: Path) -> None:
    for path in sorted((shared / "damaged").iterdir()):
        (tmp_path / path.with_suffix(".exr").name).write_bytes(path.read_bytes())
    program = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from matte_core.errors import SourceError
from matte_core.io.image import read_header, read_pixels
for path in sorted(Path({str(tmp_path)!r}).iterdir()):
    try:
        part = read_header(path, 1).parts[0]
        read_pixels(path, part.channels, "", 1)
        sys.exit("read: " + path.name)
    except SourceError as error:
        assert path.name in str(error), error
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pending error" not in done.stderr


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("kind", ["exr", "png", "tif", "jpg"])
def test_a_file_cut_short_is_an_error_that_names_it(
    tmp_path: Path, picture: Picture, noise: Noise, kind: str, keep: float
) -> None:
    pixel_type = oiio.HALF if kind == "exr" else oiio.UINT8
    path = picture(tmp_path / f"shot.1042.{kind}", noise(64, 64, 3), pixel_type=pixel_type)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(SourceError, match=rf"shot\.1042\.{kind} \(frame 1042\)"):
        read_pixels(path, ("R", "G", "B"), "", 1042)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shot.1042.exr"
    path.write_bytes(b"")
    with pytest.raises(SourceError, match="empty"):
        read_header(path, 1042)


def test_a_file_that_is_not_there_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"no\.exr cannot be read from {tmp_path}"):
        read_header(tmp_path / "no.exr")


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "big.exr", np.zeros((4, 4, 1), np.float32), ("A",))
    data = bytearray(path.read_bytes())
    start = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    for side in (40_000, 2**31 - 2):
        data[start + 8 : start + 16] = np.array([side, side], "<i4").tobytes()
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"big\.exr cannot be opened"):
            read_pixels(path, ("A",))


def test_more_pixels_than_the_limit_are_refused_before_memory_is_taken(
    tmp_path: Path, picture: Picture, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path / "big.exr", noise(20, 30, 3))
    monkeypatch.setattr(image, "MOST_SAMPLES", 20 * 30 * 3 - 1)
    monkeypatch.setattr(np, "empty", None)
    with pytest.raises(SourceError, match=r"big\.exr \(frame 7\) claims 30 x 20 pixels"):
        read_pixels(path, ("R", "G", "B"), "", 7)


def test_a_header_with_bytes_that_are_no_text_still_gives_a_sentence(tmp_path: Path, picture: Picture) -> None:
    path = picture(tmp_path / "a.exr", np.zeros((4, 4, 1), np.float32), ("A",))
    path.write_bytes(path.read_bytes().replace(b"\0box2i\0", b"\0\xff\xfe\0\xff\xfe\0", 1))
    with pytest.raises(SourceError, match="no text where names should be"):
        read_header(path)


def test_nan_and_infinity_arrive_as_they_are_and_scrub_counts_them(shared: Path) -> None:
    read, _ = read_pixels(shared / "odd" / "BrightRingsNanInf.exr", ("R", "G", "B"))
    wrong = ~np.isfinite(read)
    assert wrong.any()
    clean, count = scrub(read)
    assert count == wrong.sum()
    assert np.isfinite(clean).all()
    np.testing.assert_array_equal(clean[~wrong], read[~wrong])


def test_scrub_of_numbers_that_overflow_a_sum_changes_nothing() -> None:
    pixels = np.full((1, 2, 2), 3e38, np.float32)
    assert scrub(pixels) == (pixels, 0)


def test_scrub_puts_zero_for_nan_and_the_largest_half_for_infinity() -> None:
    clean, count = scrub(np.array([[[np.nan, np.inf, -np.inf, 1.0]]], np.float32))
    assert clean.ravel().tolist() == [0.0, 65504.0, -65504.0, 1.0]
    assert count == 3


def test_a_file_under_a_wrong_name_is_refused(tmp_path: Path, picture: Picture, noise: Noise) -> None:
    path = picture(tmp_path / "a.png", noise(4, 4, 3), pixel_type=oiio.UINT8)
    path = path.rename(tmp_path / "a.exr")
    with pytest.raises(SourceError, match="a png file under a wrong name"):
        read_header(path)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nk").write_text("Root {}")
    with pytest.raises(SourceError, match="not a picture that Matte reads"):
        read_header(tmp_path / "a.nk")


def test_image_buffers_are_never_used_because_they_hide_damage() -> None:
    for path in (ROOT / "matte_core" / "io").glob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"ImageBuf", "ImageBufAlgo", "ImageCache"}, path.name
