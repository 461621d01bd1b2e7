"""Several masks as one guide: a named layer for each subject."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matte_core.errors import UsageError
from matte_core.frame import Frame, FrameRange
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # a layer's name that compositing programs keep
UNNAMED = ("a", "matte", "mask", "trimap", "y", "seen")  # names of a single layer, which say nothing of the subject


def instances_of(masks: Sequence[Shot], names: Sequence[str] = ()) -> Shot:
    """A guide (K, H, W) of the layers of all `masks` in their order, as they are; K named instances.

    `names` are given to the layers in order; a layer without one keeps its own where it says something, whatever it is
    spelt like (layers of files get a spelling that compositing programs keep when they are written, Cryptomattes the
    name itself), else it is instance1, instance2 and so on by its place. Raises UsageError where masks differ in window
    or have no frame in common, where there are more names than layers, or where two layers would have one name.
    """
    layers = [channel for mask in masks for channel in mask.channels]
    called = _names(layers, names)
    first = masks[0]
    if any(mask.header.data != first.header.data for mask in masks[1:]):
        raise UsageError("the masks do not cover one window. Give pictures of one size.")
    both = FrameRange(n for n in first.frames if all(n in mask.frames for mask in masks))
    if not both:
        raise UsageError(f"the masks have no frame in common ({first.frames} and others). Give the same range.")
    return make("instances", masks, frames=both, kind="matte", channels=called)


def _names(layers: Sequence[str], names: Sequence[str]) -> list[str]:
    """A name for each layer. Raises UsageError for a name that cannot be."""
    if len(names) > len(layers):
        raise UsageError(f"{len(names)} names were given for {len(layers)} masks. Name each once.")
    for name in names:
        if name and not NAME.fullmatch(name):
            raise UsageError(f"'{name}' cannot name a layer. Use letters, digits and _, a letter first.")
    given = [*names, *[""] * (len(layers) - len(names))]
    called = []
    for place, (name, own) in enumerate(zip(given, layers, strict=True), start=1):
        kept = own if own.strip() and own.lower() not in UNNAMED else f"instance{place}"
        called.append(name or kept)
    twice = next((name for name in called if sum(other.lower() == name.lower() for other in called) > 1), None)
    if twice:
        raise UsageError(f"two masks are called '{twice}'. Name them apart.")
    return called


def unseen(frames: Sequence[Frame], layers: Sequence[str]) -> list[str]:
    """A note on those of several `layers` that are empty in all `frames` (K, H, W); nothing where each is seen."""
    absent = [name for place, name in enumerate(layers) if not any(frame.pixels[place].any() for frame in frames)]
    if len(layers) < 2 or not frames or not absent:
        return []
    which = f"frame {frames[0].number}" if len(frames) == 1 else f"all {len(frames)} frames looked at"
    return [f"Nothing is selected of {', '.join(absent)} in {which}: without a mask an instance's matte is empty."]


def _join(job: Job) -> Result:
    made = []
    for number in job.numbers:
        frames: list[Frame] = [job.one(which, number) for which in range(len(job.shot.inputs))]
        pixels = frames[0].pixels if len(frames) == 1 else np.concatenate([frame.pixels for frame in frames])
        made.append(replace(frames[0], pixels=pixels))
    return Result(made)


register(Verb("instances", _join))
