"""Makes the bundled example plates, in scene-linear ACEScg.

samples/plate: a head with flying hair before evening lights. It has what plates have and toys lack: hair below
a pixel, motion blur, highlights far above 1, overscan (the data window is larger than the display window), a
timecode of its own on every frame, grain. plate.####.exr, mask.####.png (a rough roto, and its two parts
head.####.png and jacket.####.png), truth.####.exr (alpha).

samples/plate/background.exr: another evening, to put her over.

samples/screen: the same head walks past an unevenly lit green screen that spills on it; the camera is locked
off. screen.####.exr and mask.####.png.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

Picture = NDArray[np.float32]

FIRST, COUNT = 1001, 8
CHIN = 164  # row of the display window that parts the head's mask from the jacket's
WIDTH, HEIGHT, OVERSCAN = 480, 270, 8
FULL_WIDTH, FULL_HEIGHT = WIDTH + 2 * OVERSCAN, HEIGHT + 2 * OVERSCAN
SCREEN_WIDTH, SCREEN_HEIGHT, ZOOM, STRIDE = 320, 180, 0.5, 27  # the walk: size of the head, pixels a frame
SCALE, SHUTTER_SAMPLES, SUBPIXEL = 4, 6, 4  # drawn at four times the size, in sixteenths of a pixel
ACESCG = (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)


def strands(dice: np.random.Generator, count: int = 620) -> list[tuple[Picture, int, Picture]]:
    """Hair in head space: per strand its points (N, 2) in pixels, its width in fine pixels, its colour."""
    made = []
    for _ in range(count):
        angle = dice.uniform(-math.pi * 1.08, math.pi * 0.08)
        root = np.array([math.cos(angle) * 31, math.sin(angle) * 40 - 4])
        heading, length, curl = angle + dice.normal(0, 0.35), dice.gamma(5, 9.0), dice.normal(0, 1.3)
        steps, points = 14, [root]
        for step in range(steps):
            heading += curl / steps + dice.normal(0, 0.05)
            drop = 0.9 * step / steps
            points.append(points[-1] + length / steps * np.array([math.cos(heading) - 0.35, math.sin(heading) + drop]))
        rim = dice.uniform(0, 1) < 0.16
        colour = np.array([0.16, 0.085, 0.04]) * dice.uniform(0.5, 1.7) + rim * np.array([2.6, 1.7, 0.9])
        made.append((np.array(points, np.float32), int(dice.integers(1, 4)), colour.astype(np.float32)))
    return made


def paint(
    time: float,
    hair: list[tuple[Picture, int, Picture]],
    size: tuple[int, int] = (FULL_WIDTH, FULL_HEIGHT),
    zoom: float = 1.0,
    walked: float | None = None,
) -> tuple[Picture, Picture]:
    """Premultiplied colour (H, W, 3) and coverage (H, W) of the subject at one instant; `walked` is where it is."""
    width, height = size
    colour = np.zeros((height * SCALE, width * SCALE, 3), np.float32)
    cover = np.zeros(colour.shape[:2], np.uint8)
    sway = 0.16 * math.sin(time * 0.9)
    across = width * 0.5 + 26 * math.sin(time * 0.55) - 6 if walked is None else walked
    centre = np.array([across, height * (0.46 if walked is None else 0.56) + 4 * math.cos(time)])
    turn = np.array([[math.cos(sway), -math.sin(sway)], [math.sin(sway), math.cos(sway)]])

    def place(points: Picture) -> NDArray[np.int32]:
        return np.asarray(np.round((points @ turn.T * zoom + centre) * SCALE * 2**SUBPIXEL), np.int32)

    def fill(points: Picture, shade: tuple[float, float, float]) -> None:
        cv2.fillPoly(cover, [place(points)], 255, cv2.LINE_8, SUBPIXEL)
        cv2.fillPoly(colour, [place(points)], shade, cv2.LINE_8, SUBPIXEL)

    around = np.linspace(0, 2 * math.pi, 80)
    shoulders = np.array([[-96, 190], [-88, 96], [-30, 62], [30, 62], [88, 96], [96, 190]], np.float32)
    for points, width, shade in hair[::2]:
        _strand(cover, colour, place(points * np.array([1.06, 1.03], np.float32)), width, shade * 0.55)
    fill(shoulders, (0.03, 0.05, 0.12))
    fill(np.array([[-15, 20], [15, 20], [19, 74], [-19, 74]], np.float32), (0.34, 0.2, 0.14))
    fill(np.stack([np.cos(around) * 34, np.sin(around) * 44 - 2], 1).astype(np.float32), (0.46, 0.29, 0.21))
    fill(np.stack([np.cos(around) * 9 + 17, np.sin(around) * 20 - 8], 1).astype(np.float32), (0.9, 0.62, 0.45))
    fill(np.stack([np.cos(around) * 2.2 + 60, np.sin(around) * 2.2 + 88], 1).astype(np.float32), (14.0, 12.5, 11.0))
    for points, width, shade in hair:
        _strand(cover, colour, place(points), width, shade)
    mask = (cover > 0).astype(np.float32)
    small = cv2.resize(colour * mask[..., None], size, interpolation=cv2.INTER_AREA)
    return small, cv2.resize(mask, size, interpolation=cv2.INTER_AREA)


def _strand(cover: NDArray[np.uint8], colour: Picture, points: NDArray[np.int32], width: int, shade: Picture) -> None:
    middle = len(points) // 2
    for piece, thickness in ((points[: middle + 1], width), (points[middle:], max(1, width - 2))):
        cv2.polylines(cover, [piece], False, 255, thickness, cv2.LINE_8, SUBPIXEL)
        cv2.polylines(colour, [piece], False, shade.tolist(), thickness, cv2.LINE_8, SUBPIXEL)


def background(dice: np.random.Generator) -> Picture:
    """An evening street out of focus: a sky, dark houses, lamps up to 40 times white; linear (H, W, 3)."""
    rows, columns = np.mgrid[0:FULL_HEIGHT, 0:FULL_WIDTH].astype(np.float32)
    down = (rows / FULL_HEIGHT)[..., None]
    picture = np.array([0.34, 0.3, 0.42], np.float32) * (1 - down) + np.array([0.1, 0.07, 0.06], np.float32) * down
    for left in range(-20, FULL_WIDTH, 56):
        top = FULL_HEIGHT * dice.uniform(0.2, 0.6)
        house = 1 / (1 + np.exp(-(rows - top) / 5)) * np.exp(-(((columns - left - 28) / 30) ** 6))
        picture = picture * (1 - 0.8 * house[..., None])
    for _ in range(18):
        x, y, radius = dice.uniform(0, FULL_WIDTH), dice.uniform(0, FULL_HEIGHT * 0.8), dice.uniform(4, 15)
        if np.hypot((x - 240) / 150, (y - 140) / 150) < 1:  # behind the hair a lamp would hide what there is to see
            continue
        disc = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
        light = np.exp(dice.uniform(math.log(0.5), math.log(12))) * dice.uniform(0.3, 1, 3)
        picture = picture + disc[..., None] * light.astype(np.float32)
    lamp = np.clip(6.5 - np.hypot(columns - 396, rows - 54), 0, 1)
    return np.asarray(picture + lamp[..., None] * np.array([40, 33, 22]), np.float32)


def green_screen(dice: np.random.Generator) -> Picture:
    """Cloth with folds, lit from the left; linear (H, W, 3)."""
    rows, columns = np.mgrid[0:SCREEN_HEIGHT, 0:SCREEN_WIDTH].astype(np.float32)
    folds = cv2.GaussianBlur(dice.normal(0, 1, rows.shape).astype(np.float32), (0, 0), 26, sigmaY=90)
    light = 0.55 + 0.45 * np.exp(-(((columns - 70) / 190) ** 2) - ((rows - 70) / 150) ** 2)
    light = light * (1 + 4.0 * folds)
    return np.asarray(light[..., None] * np.array([0.085, 0.34, 0.075]), np.float32)


def rough_mask(alpha: Picture, overscan: int = OVERSCAN) -> NDArray[np.uint8]:
    """A mask as a quick roto gives it: a smooth outline near the half-covered edge, over the display window."""
    solid = cv2.GaussianBlur(alpha, (0, 0), 5.0) > 0.25
    smooth = cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 4.0) > 0.5
    height, width = alpha.shape
    inside = smooth[overscan : height - overscan, overscan : width - overscan]
    return np.asarray(inside * 255, np.uint8)


def save(path: Path, picture: NDArray[np.generic], frame: int | None = None, overscan: int = OVERSCAN) -> None:
    """Writes a picture; with a frame number as a half EXR with overscan, timecode and colour tags."""
    height, width, channels = picture.shape
    spec = oiio.ImageSpec(width, height, channels, oiio.UINT8 if frame is None else oiio.HALF)
    if frame is not None:
        spec.x, spec.y = -overscan, -overscan
        spec.full_width, spec.full_height = width - 2 * overscan, height - 2 * overscan
        spec.channelnames = ("R", "G", "B") if channels == 3 else ("A",)
        spec.attribute("compression", "piz")
        spec.attribute("DateTime", "2026:11:01 12:00:00")
        spec.attribute("FramesPerSecond", oiio.TypeRational, (24, 1))
        seconds, rest = divmod(frame, 24)
        digits = f"01{seconds // 60:02d}{seconds % 60:02d}{rest:02d}"
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (int(digits, 16), 0))
        if channels == 3:
            spec.attribute("chromaticities", "float[8]", ACESCG)
            spec.attribute("reelName", "A001_C004")
    output = oiio.ImageOutput.create(str(path))
    if output is None:
        raise SystemExit(f"{path}: {oiio.geterror()}")
    done = output.open(str(path), spec) and output.write_image(np.ascontiguousarray(picture)) and output.close()
    if not done:
        raise SystemExit(f"{path}: {output.geterror()}")


def grain(plate: Picture, dice: np.random.Generator) -> NDArray[np.float64]:
    """Noise of a camera: more of it in more light."""
    return np.asarray(dice.normal(0, 1, plate.shape) * 0.004 * np.sqrt(np.clip(plate, 0.02, 4)))


def make_screen(folder: Path) -> None:
    """Writes the walk past the green screen."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(20261121)
    hair, screen = strands(dice, 420), green_screen(dice)
    spill = cv2.GaussianBlur(screen, (0, 0), 40) * 0.22
    for index in range(COUNT):
        times = [index + 0.5 * s / SHUTTER_SAMPLES for s in range(SHUTTER_SAMPLES)]
        shots = [paint(t * 0.5, hair, (SCREEN_WIDTH, SCREEN_HEIGHT), ZOOM, 64 + STRIDE * t) for t in times]
        colour = np.mean([shot[0] for shot in shots], axis=0)
        alpha = np.mean([shot[1] for shot in shots], axis=0)
        plate = colour + alpha[..., None] * spill + (1 - alpha[..., None]) * screen
        save(folder / f"screen.{FIRST + index}.exr", (plate + grain(plate, dice)).astype(np.float16), FIRST + index, 0)
        save(folder / f"mask.{FIRST + index}.png", rough_mask(alpha, 0)[..., None])


def make_plate(folder: Path) -> None:
    """Writes the head before evening lights, and a still of other lights."""
    folder.mkdir(parents=True, exist_ok=True)
    other = background(np.random.default_rng(7))[:, ::-1] * np.array([0.7, 0.9, 1.25])
    save(folder / "background.exr", cv2.GaussianBlur(other, (0, 0), 1.5).astype(np.float16), FIRST)
    dice = np.random.default_rng(20261101)
    hair, street = strands(dice), background(dice)
    for index in range(COUNT):
        shots = [paint((index + 0.5 * s / SHUTTER_SAMPLES) * 0.5, hair) for s in range(SHUTTER_SAMPLES)]
        colour = np.mean([shot[0] for shot in shots], axis=0)
        alpha = np.mean([shot[1] for shot in shots], axis=0)
        street_now = np.roll(street, 2 * index, axis=1)
        plate = colour + (1 - alpha[..., None]) * street_now
        frame = FIRST + index
        save(folder / f"plate.{frame}.exr", (plate + grain(plate, dice)).astype(np.float16), frame)
        save(folder / f"truth.{frame}.exr", alpha[..., None].astype(np.float16), frame)
        mask = rough_mask(alpha)
        save(folder / f"mask.{frame}.png", mask[..., None])
        above = np.arange(len(mask))[:, None] < CHIN
        save(folder / f"head.{frame}.png", (mask * above)[..., None])
        save(folder / f"jacket.{frame}.png", (mask * ~above)[..., None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).parent.parent / "samples")
    folder: Path = parser.parse_args().folder
    make_plate(folder / "plate")
    make_screen(folder / "screen")


if __name__ == "__main__":
    main()
