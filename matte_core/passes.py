"""Mattes carried through a shot from keyframes: a pass forward, a pass backward, and the two blended between keys.

A pass runs from a keyframe to the next one, or to the end of the take; it never needs what lies beyond. So a key that
is added or changed costs the frames up to its neighbours, and no others. The backward pass reads the plate a second
time, and what it makes waits on disk: memory does not grow with the shot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch

from matte_core.colour import View
from matte_core.engine.engine import Engine
from matte_core.errors import ModelError, SourceError, UsageError
from matte_core.frame import Attribute, Frame, FrameRange, Json, Pixels
from matte_core.guide import Matte
from matte_core.keyframes import keys_within, neighbours, without_keys
from matte_core.masks import unseen
from matte_core.matting import refuse_useless, settings_of, shown, view_of
from matte_core.models.catalogue import model
from matte_core.models.weights import usable
from matte_core.shot import Shot, make, read_again
from matte_core.takes import begins_take, cuts_of, takes
from matte_core.verb import Declaration, Job, Result, Verb, register
from matte_core.windows import over_window_of

LOST = "matte/lost"  # in a frame's header: no keyframe of its take lies on this side
DIRECTIONS = ("both", "forward", "backward")


def carried_from_keys(
    plate: Shot,
    guide: Shot,
    name: str,
    precision: str,
    device: torch.device,
    keys: str = "",
    direction: str = "both",
    cuts: str = "",
    view: View | None = None,
) -> Matte:
    """The matte (K, H, W) of every frame of `plate`, by the model called `name`, from masks on keyframes.

    keys       numbers of the keyframes, such as "1001,1040"; empty: every frame that the guide has, or the plate's
               first for a still. Where the guide has other numbers and as many frames, its frames are put on these
    direction  "both": forward from each key and backward from each, faded from one to the other between two keys;
               "forward", "backward": one way alone, from the nearest key on that side
    cuts       frame numbers at which new takes begin; empty: they are found while the shot is pulled; "none"

    Nothing is carried over a cut. A take without a keyframe costs its own frames (SourceError), named when it is found.
    Raises UsageError where a key is not in the plate or in the guide, or cuts that were given leave a take without
    one, ModelError where the model cannot do it: before a frame is computed.
    """
    card = model(name).card
    if not card.keyed:
        raise ModelError(f"{name} does not carry a mask from keyframes. Choose a model that does. See: matte models")
    usable(card)
    if direction not in DIRECTIONS:
        raise UsageError(f"'{direction}' is no direction. Choose one of: {', '.join(DIRECTIONS)}.")
    placed = over_window_of(plate, guide, "mask")
    pairs, known = keys_within(placed, plate.frames, keys), cuts_of(cuts, plate.frames)
    _refuse_takes_without_key([key for key, _ in pairs], known or (), plate.frames, direction)
    looked = refuse_useless(placed, card.guides[0], FrameRange(number for _, number in pairs))
    view = view or view_of(plate)
    told = settings_of(card, precision, device, view) | {"keys": [list(pair) for pair in pairs]}
    told["cuts"] = None if known is None else list(known)
    names = ["matte" if channel == "A" else channel for channel in guide.channels]
    made = [_pass(plate, placed, told, backward, names, view) for backward in (False, True)]
    between = {"keys": told["keys"], "direction": direction}
    several = f"{len(pairs)} keyframe{'s' * (len(pairs) > 1)}: {FrameRange(key for key, _ in pairs)}"
    return make("between keys", made, between, notes=[f"{card.name} goes from {several}.", *unseen(looked, names)])


def _pass(plate: Shot, guide: Shot, told: Mapping[str, Json], backward: bool, names: Sequence[str], view: View) -> Shot:
    """One pass over the plate; the backward one reads it again."""
    inputs = [plate, guide, *([takes(plate, view)] if told["cuts"] is None else [])]
    header = replace(plate.header, colour_space="", linear=True)
    return make(
        "carry from keys",
        [read_again(each, "backward") for each in inputs] if backward else inputs,
        {**told, "backward": backward},
        kind="matte",
        header=header,
        channels=names,
    )


def _refuse_takes_without_key(keys: Sequence[int], cuts: Sequence[int], frames: FrameRange, direction: str) -> None:
    """Raises UsageError where a take between known cuts has no key."""
    starts = sorted({frames[0], *cuts})
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        take = [n for n in frames if n >= start and (after is None or n < after)]
        if not any(key in take for key in keys):
            raise UsageError(
                f"the take from frame {take[0]} to {take[-1]} has no keyframe. "
                "Add one in it, or take the cut out where it is none."
            )


def _declare_pass(parameters: Mapping[str, Json]) -> Declaration:
    backward = bool(parameters["backward"])
    return Declaration(
        needs=_needs_of_pass,
        carries=True,
        warm_up=None,
        backward=backward,
        begins=tuple(key for key, _ in parameters["keys"]),
        lane="device",
    )


def _needs_of_pass(shot: Shot, which: int, number: int) -> list[int]:
    """The frame itself; the guide on keyframes; whether a take begins between it and the frame that it comes from."""
    if which == 0:
        return [number]
    here = next((source for key, source in shot.parameters["keys"] if key == number), None)
    if which == 1:
        return [] if here is None else [here]
    return [] if here is not None else _edge(shot, number)


def _edge(shot: Shot, number: int) -> list[int]:
    """The frame whose take would begin between `number` and the frame that it comes from."""
    if not shot.parameters["backward"]:
        return [number]
    place = shot.frames.position(number) + 1
    return [shot.frames[place]] if place < len(shot.frames) else []


def _carry(job: Job) -> Result:
    """One frame of a pass: begun at its key, gone on from the frame before, or lost where there is neither."""
    (number,) = job.numbers
    engine, chosen = cast(Engine, job.tools), model(job.parameter("model"))
    masks = [torch.from_numpy(frame.pixels.copy())[None] for frame in job.frames[1].values()]
    guides: dict[str, torch.Tensor] = dict(zip(chosen.card.guides, masks, strict=False))
    state = None if guides or _new_take(job, number) else job.state
    plate = job.one(0, number)
    header = replace(plate.header, colour_space="", linear=True)
    if not guides and state is None:
        size = (len(job.shot.channels), *plate.pixels.shape[1:])
        lost = header.with_attributes([Attribute(LOST, "int", 1)])
        return Result([Frame(np.zeros(size, np.float32), number, lost)])
    look = shown(plate, View.from_parameters(job.parameter("view")), chosen.card)
    layers, state = engine.step(chosen, look[None], guides, state, job.parameter("precision"))
    alpha = cast(Pixels, layers["alpha"][0].clamp(0, 1).numpy())
    return Result([Frame(alpha, number, header)], state)


def _new_take(job: Job, number: int) -> bool:
    """Whether there is a cut between a frame and the one that it would be carried from."""
    known = job.parameter("cuts")
    edge = _edge(job.shot, number)
    if known is not None:
        return bool(edge) and edge[0] in known
    return any(begins_take(job.frames[2][n]) for n in edge if n in job.frames[2])


def _needs_of_blend(shot: Shot, which: int, number: int) -> list[int]:
    """Which passes a frame needs: forward where a key lies before it, backward where one lies after it."""
    keys, direction = shot.parameters["keys"], shot.parameters["direction"]
    before, after = keys[0][0] <= number, keys[-1][0] >= number
    forward = before and (direction != "backward" or not after)
    if which == 0:
        return [number] if forward else []
    on_key = any(key == number for key, _ in keys)
    backward = after and not (forward and (on_key or direction == "forward"))
    return [number] if backward else []


def _blend(job: Job) -> Result:
    made = []
    for number in job.numbers:
        found = [[f for f in frames.values() if f.number == number] for frames in job.frames]
        good = [[f for f in each if f.header.attribute(LOST) is None] for each in found]
        if not (good[0] or good[1]):
            raise SourceError(
                f"frame {number} is in a take without a keyframe: there is a cut between it and the nearest. "
                "Add a keyframe in its take, or say that the shot has no cuts."
            )
        frame = (good[0] or good[1])[0]
        if good[0] and good[1]:
            share = np.float32(neighbours(job.parameter("keys"), number)[2])
            forward, backward = good[0][0].pixels, good[1][0].pixels
            frame = frame.having(np.asarray((1 - share) * forward + share * backward, np.float32))
        made.append(frame)
    return Result(made)


def _declare_blend(parameters: Mapping[str, Json]) -> Declaration:
    return Declaration(needs=_needs_of_blend)


def _place(parameters: Mapping[str, Json], number: int) -> Json:
    """The two keys that a frame lies between, or the nearest: all that its stamp needs to know of them."""
    first, last, share = neighbours(parameters["keys"], number)
    return [first, last, share]


register(Verb("carry from keys", _carry, declare=_declare_pass, recipe=without_keys))
register(Verb("between keys", _blend, declare=_declare_blend, source=_place, recipe=without_keys))
