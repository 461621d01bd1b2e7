"""One exposure for a whole shot, so that frames do not flicker against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from matte_core.colour.curves import KNEE, luminance
from matte_core.colour.view import View, linear_light
from matte_core.frame import Pixels

KEY = 0.18  # middle grey: where the log-average of a shot's luminance is brought
MOST_GAIN = 16.0  # four stops up; beyond that a dark shot is mostly noise
_SAMPLES = 65536  # pixels looked at per frame


def reference_frames(numbers: Sequence[int], most: int = 9) -> list[int]:
    """At most `most` of `numbers`, spread evenly, the first and the last among them (the middle one for 1)."""
    if len(numbers) <= most:
        return list(numbers)
    if most == 1:
        return [numbers[len(numbers) // 2]]
    return [numbers[step * (len(numbers) - 1) // (most - 1)] for step in range(most)]


def measure_exposure(frames: Iterable[Pixels], view: View) -> float:
    """The factor, to three digits, that brings the shot's log-average luminance to middle grey; 1 if display-referred.

    `frames` are plate pixels (3, H, W) in the view's space; its exposure is not used. Display-referred frames
    are not read. Luminances beyond the 2nd and 98th percentile count as those; black and NaN do not count.
    The log-average lies between the median and the mean, so a bright sky or a black studio wall does not decide
    alone; and the factor never brightens so far that the bright end of the shot reaches the shoulder.
    Key and log-average: Reinhard et al. 2002, Photographic tone reproduction, equations 1 and 2.
    """
    if view.display:
        return 1.0
    samples = [_luminances(pixels, view) for pixels in frames]
    light = np.concatenate(samples) if samples else np.empty(0, np.float32)
    if light.size == 0:
        return 1.0
    low, high = np.percentile(light, (2, 98))
    gain = KEY / float(np.exp(np.log(light.clip(low, high), dtype=np.float64).mean()))
    if gain > 1:
        gain = min(gain, MOST_GAIN, max(1.0, KNEE / float(high)))
    return float(f"{gain:.3g}")


def _luminances(pixels: Pixels, view: View) -> Pixels:
    step = max(1, round((pixels.shape[1] * pixels.shape[2] / _SAMPLES) ** 0.5))
    light = luminance(linear_light(pixels[:, ::step, ::step], view)).ravel()
    return light[np.isfinite(light) & (light > 0)]
