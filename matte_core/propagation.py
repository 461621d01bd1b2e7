"""Propagate Trimap: trimaps for a whole shot from those that a person has drawn on a few of its frames.

Every frame is answered by itself from the nearest keyframes, whose pictures and trimaps the network looks at, and from
what optical flow carries along from the keyframe before and the one after. Nothing is handed from frame to frame, so a
corrected keyframe changes no frame beyond its neighbours, and a shot may be cut into chunks anywhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from matte_core.carry import carried_regions, together, weighed
from matte_core.engine.engine import Engine, pick_precision
from matte_core.errors import SourceError, UsageError
from matte_core.flow import channels_last, enlarged, reduced
from matte_core.frame import Frame, FrameRange, Json
from matte_core.keyframes import keys_within, without_keys
from matte_core.matting import REGIONS, refuse_useless, view_of
from matte_core.models.catalogue import model
from matte_core.models.weights import sum_of
from matte_core.plate_motion import chain, encoded, flows_of
from matte_core.shot import Shot, make
from matte_core.temporal import step_of, unbroken
from matte_core.trimap import snap
from matte_core.verb import Declaration, Job, Result, Verb, register
from matte_core.windows import over_window_of

PROPAGATION_MODEL = "trimap-propagation-small"
FLOWED = 384  # pixels along the long side in which flow is followed from key to key
FARTHEST = 40  # frames over which flow is followed; keyframes further away are looked at all the same
LOOKED_AT = 2  # keyframes before, and as many after, that the network looks at
_CARRIED = len(REGIONS) + 1  # channels for each layer: the regions, and how far they are to be trusted


def propagated_trimap(
    plate: Shot,
    guide: Shot,
    keys: str = "",
    name: str = PROPAGATION_MODEL,
    precision: str = "auto",
    device: torch.device | None = None,
    cuts: str = "",
) -> Shot:
    """Trimaps (K, H, W) of 0, 0.5 and 1 for all frames of `plate`, from the frames of `guide` that are keyframes.

    keys  numbers of the keyframes, such as "1001,1040"; empty: every frame that the guide has, or the plate's first
          where it is a still. Where the guide has other numbers and as many frames, its frames are put on these numbers
    name  the model; cuts as for Smooth Matte: flow is not followed over them, and no keyframe beyond one is carried

    On a keyframe the trimap is that key. A frame behind a cut in which nothing is found costs that frame (SourceError).
    Raises UsageError where there is no keyframe, one is not in the plate, or the
    model does not propagate trimaps, or nothing is unknown on any keyframe.
    """
    card = model(name).card
    if not card.propagates:
        raise UsageError(f"{name} does not propagate trimaps. See: matte models")
    pairs = keys_within(guide, plate.frames, keys)
    view, drawn = view_of(plate), over_window_of(plate, guide, "trimap")
    seen = encoded(plate, view)
    if all(source.declaration.lane != "device" for source in drawn.lineage()):  # else it is another model's answer
        refuse_useless(drawn, "trimap", FrameRange(frame for _, frame in pairs))
    told: dict[str, Json] = {"keys": [list(pair) for pair in pairs], "step": step_of(plate.frames)}
    flows = flows_of(seen, cuts, FLOWED)
    channels = [f"{layer}.{part}" for layer in drawn.channels for part in (*REGIONS, "trust")]
    carried = make("carried trimap", [flows, drawn], told, kind="data", frames=plate.frames, channels=channels)
    where = torch.device("cpu") if device is None else device
    told |= {"model": name, "version": card.version, "weights": sum_of(card)}
    told |= {"precision": pick_precision(card, precision, where)}
    return make(
        "propagate trimap",
        [seen, drawn, carried],
        told,
        kind="matte",
        frames=plate.frames,
        header=drawn.header,
        channels=drawn.channels,
        notes=[f"Trimaps are propagated from {len(pairs)} keyframe{'s' * (len(pairs) > 1)}."],
    )


def nearest(keys: Sequence[Sequence[int]], number: int, each: int) -> list[Sequence[int]]:
    """The (keyframe, guide's frame) pairs of the last `each` keys before `number` and the first `each` from it on."""
    place = bisect_left([key for key, _ in keys], number)
    return list(keys[max(place - each, 0) : place + each])


def _sources(shot: Shot, number: int) -> list[Sequence[int]]:
    """Keyframes whose trimaps flow carries to a frame: the one before, the one after, or the frame itself."""
    near = nearest(shot.parameters["keys"], number, 1)
    same = [pair for pair in near if pair[0] == number]
    return same or [pair for pair in near if abs(_way(shot, number, pair[0])) <= FARTHEST]


def _way(shot: Shot, number: int, key: int) -> int:
    return shot.frames.position(key) - shot.frames.position(number)


def _followed(shot: Shot, number: int) -> list[int]:
    """The frames along which flow is followed from a frame to its keyframes."""
    ways = [_way(shot, number, key) for key, _ in _sources(shot, number)]
    before, after = -min(0, *ways, 0), max(0, *ways, 0)
    return unbroken(shot.frames, number, before, after, shot.parameters["step"])


def _carry_needs(shot: Shot, which: int, number: int) -> list[int]:
    if which == 0:
        window = _followed(shot, number)
        return window[:-1] or window  # flows stand between frames
    sources = _sources(shot, number) or nearest(shot.parameters["keys"], number, 1)
    return sorted({frame for _, frame in sources})


def _carry(job: Job) -> Result:
    size = job.shot.header.data
    made = []
    for number in job.numbers:
        still = np.zeros((size.height, size.width, 2), np.float32), np.ones((size.height, size.width), np.float32)
        ways = {number: still}
        ways |= {n: (moved, trust) for n, moved, trust in chain(job.frames[0], number, _followed(job.shot, number))}
        sources = [pair for pair in _sources(job.shot, number) if pair[0] in ways]
        layers = []
        for layer in range(len(job.shot.inputs[1].channels)):
            found = []
            for key, frame in sources:
                drawn = reduced(snap(job.frames[1][frame].pixels[layer]), FLOWED)
                regions = carried_regions(drawn, ways[key][0])
                found.append((regions, ways[key][1], abs(_way(job.shot, number, key))))
            layers.append(together(found) if found else np.zeros((_CARRIED, size.height, size.width), np.float32))
        made.append(Frame(np.concatenate(layers), number, job.shot.header))
    return Result(made)


def _looked_at(parameters: Mapping[str, Json], number: int) -> list[Sequence[int]]:
    """The keyframes that the network looks at, or the frame itself where it is one."""
    near = nearest(parameters["keys"], number, LOOKED_AT)
    return [pair for pair in near if pair[0] == number] or near


def _needs(shot: Shot, which: int, number: int) -> list[int]:
    pairs = _looked_at(shot.parameters, number)
    if which == 0:
        return list(dict.fromkeys([number, *(key for key, _ in pairs)]))
    return [number] if which == 2 else [frame for _, frame in pairs]


def _propagate(job: Job) -> Result:
    engine, chosen, made = cast(Engine, job.tools), model(job.parameter("model")), []
    for number in job.numbers:
        pairs = _looked_at(job.shot.parameters, number)
        header = replace(job.frames[0][number].header, colour_space="", linear=True)
        drawn = [snap(job.frames[1][frame].pixels) for _, frame in pairs]
        if pairs[0][0] == number:
            made.append(Frame(drawn[0], number, header))
            continue
        frames = torch.from_numpy(np.stack([job.frames[0][n].pixels for n in (number, *(key for key, _ in pairs))]))
        trimaps = torch.from_numpy(np.stack([np.full_like(drawn[0], 0.5), *drawn]))
        guides = {"trimap": trimaps, "carried": torch.from_numpy(job.frames[2][number].pixels.copy())[None]}
        layers, _ = engine.step(chosen, frames, guides, None, job.parameter("precision"))
        regions = layers["regions"][0].numpy()
        shares = regions.reshape(-1, len(REGIONS), *regions.shape[1:])
        if len(_sources(job.shot, number)) == 2:
            carried = job.frames[2][number].pixels.reshape(-1, _CARRIED, *job.frames[2][number].pixels.shape[1:])
            size = regions.shape[:0:-1]
            wide = [np.moveaxis(enlarged(channels_last(c), *size), -1, 0) for c in carried]
            shares = np.stack([weighed(own, other) for own, other in zip(shares, wide, strict=True)])
        likeliest = shares.argmax(1)
        if not likeliest.any() and _sources(job.shot, number) and not job.frames[2][number].pixels.any():
            raise SourceError(
                f"frame {number} shows nothing of what the keyframes beyond the cut show. Add a keyframe in its take, "
                "an empty one if the subject is not there, or say that the shot has no cuts."
            )
        made.append(Frame((likeliest / 2).astype(np.float32), number, header))
    return Result(made)


def _carrying(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=_carry_needs)


def _propagating(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=_needs, lane="device")


def _place(parameters: Mapping[str, Json], number: int) -> Json:
    """Part of a frame's stamp: itself, since others between the same keyframes are made of the same, and its keys."""
    return [number, [list(pair) for pair in _looked_at(parameters, number)]]


register(Verb("carried trimap", _carry, declare=_carrying, source=_place, recipe=without_keys))
register(Verb("propagate trimap", _propagate, declare=_propagating, source=_place, recipe=without_keys))
