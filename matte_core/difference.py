"""Difference mattes: what stands before a known background, told apart from noise and from a change of light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matte_core.compose import disc, joined, per_frame
from matte_core.frame import Frame, Json, Pixels
from matte_core.late import late
from matte_core.shot import Shot

cv2 = late("cv2")

Numbers = NDArray[np.float64]

SAMPLES = 40_000  # pixels per frame from which light and noise are measured
STEP = 4  # pixels between two that are compared for noise: grain is smooth over fewer
LEVELS = 12  # brightness levels at which the noise is measured
LEAST_NOISE = 1e-3  # of the light: rounding of half files, a codec
STOPS = np.linspace(-1.5, 1.5, 151)  # changes of light that are looked for
MOST = 1e5  # squared: a difference of more times the noise is no more of one
SUBJECT = 4.685  # Tukey's constant: a difference of so many times the noise is no background


def difference_matte(
    plate: Shot,
    clean_plate: Shot,
    threshold: float = 4.0,
    shadows: float = 0.0,
    slack: int = 0,
    clean: int = 8,
    match: bool = True,
) -> Shot:
    """A mask (1, H, W) in 0..1 of what differs from the clean plate; both shots in the same scene-linear light.

    threshold  so many times the noise is where the mask begins; at twice that it is 1. The noise is measured in
               every frame and at every brightness, over both shots, so that grain selects nothing
    shadows    0..1: how much darker the background may become and still be background
    slack      pixels by which the camera may have moved: what lies between the values around counts as equal
    clean      specks and holes smaller than so many pixels across are removed
    match      the clean plate's light is fitted to each frame first, a gain and an offset per channel

    A hard decision where subject and background look alike: a guide, not an alpha. Pixels that are not finite
    count as subject. Raises UsageError where windows differ or no frame is in common.
    """
    settings = {"threshold": threshold, "shadows": shadows, "slack": slack, "clean": clean, "match": match}
    made = joined("difference matte", [plate, clean_plate], settings)
    header = replace(plate.header, colour_space="", linear=True)
    return replace(made, kind="matte", channels=("matte",), header=header)


def match_light(plate: Pixels, clean: Pixels) -> Pixels:
    """The clean plate (3, H, W) under the light of the plate: gain and offset per channel, found robustly.

    The gain starts at the commonest ratio of the two, so that a subject may cover most of the frame if it does not
    differ by one ratio; then both are fitted with Tukey's weights, which leave the subject out. Offsets and gains
    that the picture does not show (an even backing) stay small. Pixels that are not finite are left out.
    """
    fitted = np.empty_like(clean)
    step = max(1, round((clean.shape[1] * clean.shape[2] / SAMPLES) ** 0.5))
    for channel, (light, known) in enumerate(zip(plate, clean, strict=True)):
        seen, back = (np.asarray(one[::step, ::step], np.float64).ravel() for one in (light, known))
        finite = np.isfinite(seen) & np.isfinite(back)
        gain, offset = _fit(seen[finite], back[finite])
        fitted[channel] = known * np.float32(gain) + np.float32(offset)
    return fitted


def _fit(seen: Numbers, back: Numbers) -> tuple[float, float]:
    lit = (seen > 0) & (back > np.percentile(back, 20)) & (back > 0) if back.size else np.zeros(0, bool)
    if lit.sum() < 64:
        return 1.0, 0.0
    votes, edges = np.histogram(np.log2(seen[lit] / back[lit]), STOPS)
    if votes.max() < 0.01 * lit.sum():
        return 1.0, 0.0
    votes = np.convolve(votes, (1, 2, 3, 2, 1), "same")
    gain, offset = float(2 ** (edges[votes.argmax()] + (edges[1] - edges[0]) / 2)), 0.0
    size = float(np.mean(np.abs(back))) + 1e-12
    spread = np.maximum(np.abs(back), 0.1 * size)  # noise grows with the light
    near = None
    for _ in range(12):
        off = (seen - gain * back - offset) / spread
        inside = np.abs(off) < 0.25 if near is None else near
        scale = 1.4826 * float(np.median(np.abs(off[inside]))) + 1e-6 if inside.any() else 0.25
        trust = np.clip(1 - (off / (SUBJECT * scale)) ** 2, 0, 1) ** 2 / spread**2
        near = trust > 0
        hold = 1e-3 * float(np.sum(trust)) * size**2
        matrix = np.array(
            [[np.sum(trust * back**2) + hold, np.sum(trust * back)], [np.sum(trust * back), np.sum(trust) * 1.01]]
        )
        gain, offset = np.linalg.solve(matrix, [np.sum(trust * back * seen) + hold * gain, np.sum(trust * seen)])
    return float(gain), float(offset)


def noise_of(residual: Pixels, light: Pixels) -> Pixels:
    """Standard deviation (C, H, W) of the noise at every pixel, from what is left of the plate without its background.

    Measured between pixels STEP apart, as the median over pixels of like brightness, which a subject does not move;
    then a line: variance = constant + rate x light, as sensors have it, and a thousandth of the light at least.
    """
    sigma = np.empty_like(light)
    for channel, (rest, level) in enumerate(zip(residual, light, strict=True)):
        jumps = np.abs(rest[:, STEP:] - rest[:, :-STEP])[::2].ravel() / np.sqrt(2)
        levels = level[::2, STEP:].ravel().clip(0)
        usable = np.isfinite(jumps) & np.isfinite(levels)
        constant, rate = _line(jumps[usable].astype(np.float64), levels[usable].astype(np.float64))
        floor = (LEAST_NOISE * (np.abs(level) + np.median(levels[usable]) if usable.any() else 1)) ** 2
        sigma[channel] = np.sqrt(np.maximum(constant + rate * level.clip(0), 0) + floor)
    return sigma


def _line(jumps: Numbers, levels: Numbers) -> tuple[float, float]:
    """Constant and rate, neither below 0, of the variance over the light."""
    if jumps.size < 64:
        return 0.0, 0.0
    edges = np.quantile(levels, np.linspace(0, 1, LEVELS + 1))
    bins = np.searchsorted(edges[1:-1], levels)
    lights, variances = [], []
    for place in range(LEVELS):
        inside = bins == place
        if inside.sum() >= 16:
            lights.append(float(levels[inside].mean()))
            variances.append((1.4826 * float(np.median(jumps[inside]))) ** 2)
    if not variances:
        return 0.0, 0.0
    light, variance = np.array(lights), np.array(variances)
    weight = 1 / (variance + 0.1 * variance.mean() + 1e-20)  # relative errors count
    rows = np.stack([weight, weight * light], axis=1)
    constant, rate = np.linalg.lstsq(rows, weight * variance, rcond=None)[0]
    if rate < 0:
        return float(np.median(variance)), 0.0
    if constant < 0:
        return 0.0, float(np.sum(weight**2 * light * variance) / max(np.sum((weight * light) ** 2), 1e-20))
    return float(constant), float(rate)


def differs(plate: Pixels, clean: Pixels, shadows: float = 0, slack: int = 0) -> Pixels:
    """How many times the noise (H, W) the plate differs from the clean plate, over all channels and 3 x 3 pixels."""
    sigma = noise_of(plate - clean, clean)
    if shadows > 0:
        shade = _averaged(np.sum(plate * clean / sigma**2, axis=0)) / _averaged(np.sum((clean / sigma) ** 2, axis=0))
        clean = clean * np.nan_to_num(shade, nan=1.0).clip(1 - shadows, 1)
    low, high = (np.stack([around(layer, disc(slack)) for layer in clean]) for around in (cv2.erode, cv2.dilate))
    squares = np.mean(((plate - plate.clip(low, high)) / sigma) ** 2, axis=0)
    return np.asarray(np.sqrt(_averaged(np.nan_to_num(squares, nan=MOST, posinf=MOST).clip(0, MOST)).clip(0)))


def _averaged(picture: Pixels) -> Pixels:
    """Mean over 3 x 3 pixels; the sums run along rows, so that in single precision a highlight would leave a trail."""
    return np.asarray(cv2.blur(picture.astype(np.float64), (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)


def without_specks(mask: Pixels, size: int) -> Pixels:
    """The mask (H, W) without selected specks and enclosed holes smaller than `size` x `size` pixels."""
    specks = _smaller(mask > 0, size)
    holes = _smaller(mask < 0.5, size, enclosed=True)
    return np.where(specks, 0, np.where(holes, 1, mask)).astype(np.float32)


def _smaller(region: NDArray[np.bool_], size: int, enclosed: bool = False) -> NDArray[np.bool_]:
    """Pixels of pieces of `region` of an area below `size` squared; `enclosed` leaves out those at the border."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    small = facts[:, cv2.CC_STAT_AREA] < size * size
    small[0] = False  # what is not of the region
    if enclosed:
        small[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    return np.asarray(small[labels])


def _difference_matte(frames: Sequence[Frame], parameters: Mapping[str, Json]) -> Pixels:
    plate, clean = frames[0].pixels, frames[1].pixels
    if parameters["match"]:
        clean = match_light(plate, clean)
    times = differs(plate, clean, parameters["shadows"], parameters["slack"])
    mask = np.clip(times / parameters["threshold"] - 1, 0, 1).astype(np.float32)
    return without_specks(mask, parameters["clean"])[None]


per_frame("difference matte", _difference_matte, data=True)
