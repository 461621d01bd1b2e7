"""Models that look at a window of frames: what they are given of it, never over a cut or over missing frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from matte_core.colour import View, encode_for_network, solver_light
from matte_core.engine.engine import Engine
from matte_core.flow import enlarged
from matte_core.frame import Frame, FrameRange, Header, Json, Pixels
from matte_core.models.base import Card
from matte_core.models.catalogue import model
from matte_core.plate_motion import chain, encoded, flows_of
from matte_core.shot import Shot, make
from matte_core.temporal import step_of, unbroken
from matte_core.trimap import snap
from matte_core.verb import Declaration, Job, Result, Verb, register


def windowed_matte(
    plate: Shot,
    guides: Mapping[str, Shot],
    parameters: Mapping[str, Json],
    frames: FrameRange,
    header: Header,
    channels: Sequence[str],
    cuts: str = "",
) -> Shot:
    """Alpha (K, H, W) of every one of `frames` by a model that looks at the frames around it.

    `guides` are all over the plate's window; with the guide "alpha" the model begins with that. Where the window would
    reach over an end of the shot, a cut or missing frames, the last frame before that stands for what is beyond.
    `parameters` are those of the verb "estimate alpha"; the motion that is followed is found here, `cuts` too where
    they are not named.
    """
    view = View.from_parameters(parameters["view"])
    flows = flows_of(replace(encoded(plate, view), frames=frames), cuts)
    told = {**parameters, "guides": list(guides), "step": step_of(frames)}
    inputs = [plate, flows, *guides.values()]
    return make("estimate video alpha", inputs, told, kind="matte", frames=frames, header=header, channels=channels)


def _needs(shot: Shot, which: int, number: int) -> list[int]:
    card: Card = model(shot.parameters["model"]).card
    window = unbroken(shot.frames, number, card.before, card.after, shot.parameters["step"])
    return (window[:-1] or window) if which == 1 else window  # flows stand between frames


def _estimate(job: Job) -> Result:
    engine, chosen, made = cast(Engine, job.tools), model(job.parameter("model")), []
    view = View.from_parameters(job.parameter("view"))
    look = solver_light if chosen.card.encoding == "linear" else encode_for_network
    for number in job.numbers:
        numbers, ways = _window(job, chosen.card, number)
        seen = {n: torch.from_numpy(look(job.frames[0][n].pixels, view)) for n in dict.fromkeys(numbers)}
        plates = torch.stack([seen[n] for n in numbers])
        guides: dict[str, Tensor] = {"motion": torch.from_numpy(ways)} if chosen.card.motion else {}
        for which, name in enumerate(job.parameter("guides"), start=2):
            frames = [job.frames[which][n].pixels for n in numbers]
            guides[name] = torch.from_numpy(np.stack([snap(f) if name == "trimap" else f for f in frames]))
        layers, _ = engine.step(chosen, plates, guides, None, job.parameter("precision"))
        header = replace(job.frames[0][number].header, colour_space="", linear=True)
        made.append(Frame(cast(Pixels, layers["alpha"][0].clamp(0, 1).numpy()), number, header))
    return Result(made)


def _window(job: Job, card: Card, number: int) -> tuple[list[int], Pixels]:
    """Numbers of the before + 1 + after frames that the model is shown, and the motion (F, 3, H, W) to each."""
    reached = {number: np.zeros((3, *_size(job)), np.float32)}
    reached[number][2] = 1
    for other, moved, trust in chain(job.frames[1], number, _needs(job.shot, 0, number)):
        reached[other] = _full(moved, trust, *_size(job))
    known = sorted(reached)
    place = known.index(number)
    places = [min(max(place + away, 0), len(known) - 1) for away in range(-card.before, card.after + 1)]
    numbers = [known[p] for p in places]
    return numbers, np.stack([reached[n] for n in numbers])


def _full(moved: Pixels, trust: Pixels, height: int, width: int) -> Pixels:
    """(3, H, W) of a motion (h, w, 2) and its trust (h, w) measured on a smaller picture, in pixels of the frame."""
    scale = np.array([width / moved.shape[1], height / moved.shape[0]], np.float32)
    both = np.concatenate([moved * scale, trust[..., None]], axis=-1)
    return np.ascontiguousarray(np.moveaxis(enlarged(np.ascontiguousarray(both), width, height), -1, 0))


def _size(job: Job) -> tuple[int, int]:
    window = job.shot.header.data
    return window.height, window.width


def _declare(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=_needs, lane="device")


register(Verb("estimate video alpha", _estimate, declare=_declare))
