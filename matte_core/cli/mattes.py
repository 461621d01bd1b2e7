"""The main job described: what `matte sequence` was asked for, as the shots that make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from matte_core import ops
from matte_core.cli.planned import Planned
from matte_core.engine.engine import pick_device
from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.guide import Guide
from matte_core.io.cryptomatte_shots import read_cryptomatte
from matte_core.io.sequence import Missing
from matte_core.joint import joint_matte_of
from matte_core.keyframes import keyframed
from matte_core.masks import instances_of
from matte_core.matting import guide_of_masks, matte_of
from matte_core.models.catalogue import model
from matte_core.ops.video import MOTION_MODEL
from matte_core.passes import carried_from_keys
from matte_core.propagation import propagated_trimap
from matte_core.shot import Shot
from matte_core.sources import hold_still, matte_source, plate_source
from matte_core.windows import over_window_of


@dataclass(frozen=True)
class Settings:
    """What the person asked for; names and defaults are the command's."""

    plate: str
    mask: str | None
    trimap: str | None
    mask_channel: str
    cryptomatte: str | None
    instances: tuple[str, ...]
    out: str
    model: str
    frames: str
    layer: str
    part: str
    in_space: str
    ocio: str
    deliver: str
    missing: str
    nan: str
    overwrite: bool
    device: str
    precision: str
    memory: str
    compile: bool
    compression: str
    depth: str
    trimap_model: str
    fusion: str
    shrink: int
    grow: int
    softness: float
    black: float
    white: float
    edge: float
    blur: float
    gamma: float
    overlap: str
    smooth: float
    reach: int
    keyframes: str
    direction: str
    cuts: str


def planned_mattes(settings: Settings) -> Planned:
    """The main job, described. Raises MatteError where it cannot start."""
    device = pick_device(settings.device)
    model(settings.model)
    if settings.trimap_model != "none":
        model(settings.trimap_model)
    _check_guides(settings)
    plate = plate_source(
        settings.plate,
        layer=settings.layer,
        part=settings.part,
        space=settings.in_space,
        ocio=settings.ocio,
        missing=settings.missing,
        nan=settings.nan,
        needed=settings.frames,
    )
    wanted = FrameRange.parse(settings.frames) if settings.frames else plate.frames
    alpha = _alpha(settings, plate, wanted, device)
    receipts = ops.write_sequence(
        alpha,
        settings.out,
        plate=plate,
        deliver=settings.deliver,
        compression=settings.compression,
        depth=settings.depth,
        overlap=settings.overlap,
    )
    notes = list(dict.fromkeys(note for receipt in receipts for note in receipt.said()))
    return Planned(receipts, wanted, device, settings.overwrite, notes)


def _check_guides(settings: Settings) -> None:
    """Raises UsageError where the model is told too little, or is told what it does not listen to."""
    told = sum(map(bool, (settings.mask, settings.trimap, settings.instances)))
    alone = not model(settings.model).card.guides
    if alone and told:
        raise UsageError(
            f"{settings.model} finds the subject by itself and takes no mask, trimap or instances. "
            "Leave them out, or choose another --model."
        )
    if not alone and told != 1:
        raise UsageError(
            "give either --mask or --trimap, or --instances: the model must be told what to cut out. "
            f"One that finds the subject by itself: --model {ops.PORTRAIT_MODEL}"
        )


def _alpha(settings: Settings, plate: Shot, wanted: FrameRange, device: torch.device) -> Shot:
    alpha = _estimated(settings, plate, wanted, device)
    alpha = ops.smooth_matte(plate, alpha, settings.smooth, settings.reach, settings.cuts)
    return ops.refine_matte(alpha, settings.black, settings.white, settings.edge, settings.blur, settings.gamma)


def _estimated(settings: Settings, plate: Shot, wanted: FrameRange, device: torch.device) -> Shot:
    name, precision, keyed = settings.model, settings.precision, model(settings.model).card.keyed
    if not model(name).card.guides:
        return matte_of(plate, Guide(), name, precision, device)
    if keyed and not settings.mask:
        raise UsageError(f"{name} goes from masks on keyframes. Give --mask FILE, and --keyframes where it is a still.")
    source = _named_masks(settings, plate, wanted) if settings.instances else _one_file(settings, wanted, keyed)
    if keyed:
        keys = settings.keyframes, settings.direction, settings.cuts
        return carried_from_keys(plate, source, name, precision, device, *keys)
    told = _on_every_frame(settings, plate, source, device)
    if settings.trimap_model != "none" and not settings.trimap:
        return joint_matte_of(plate, told, settings.trimap_model, name, settings.fusion, precision, device)
    guide = Guide(trimap=told)
    if not settings.trimap:
        guide = guide_of_masks(told, name, settings.shrink, settings.grow, settings.softness)
    return matte_of(plate, guide, name, precision, device, cuts=settings.cuts)


def _on_every_frame(settings: Settings, plate: Shot, source: Shot, device: torch.device) -> Shot:
    """The guide on every frame of the plate: a sequence, a still, or what keyframes give."""
    carries = settings.trimap and settings.trimap_model != "none"
    if carries and not settings.keyframes:
        raise UsageError("--trimap-model finds a trimap from a mask. Give --mask, or leave --trimap-model out.")
    if not settings.keyframes:
        return hold_still(source, plate.frames)
    if settings.instances:
        keys = settings.keyframes, settings.direction, settings.cuts
        return carried_from_keys(plate, source, MOTION_MODEL, "auto", device, *keys)
    if not carries:
        return keyframed(source, plate.frames, settings.keyframes)
    by = settings.trimap_model, settings.precision, device, settings.cuts
    return propagated_trimap(plate, source, settings.keyframes, *by)


def _one_file(settings: Settings, wanted: FrameRange, keyed: bool) -> Shot:
    """The mask or trimap, or instances out of the Cryptomatte that its file holds; gaps are no fault between keys."""
    path, keyed = settings.mask or settings.trimap or "", keyed or bool(settings.keyframes)
    missing, needed = ("skip", "") if keyed else (settings.missing, str(wanted))
    if settings.cryptomatte is None:
        return matte_source(path, settings.mask_channel, missing=missing, needed=needed)
    if not settings.mask:
        raise UsageError("--cryptomatte picks instances of a file that --mask names. Give --mask FILE.")
    return read_cryptomatte(path, settings.cryptomatte, settings.mask_channel, missing=cast(Missing, missing))


def _named_masks(settings: Settings, plate: Shot, wanted: FrameRange) -> Shot:
    """One layer for each NAME=PATTERN; gaps are no fault between keys."""
    names, shots, keyed = [], [], bool(settings.keyframes)
    missing, needed = ("skip", "") if keyed else (settings.missing, str(wanted))
    for entry in settings.instances:
        name, mark, path = entry.partition("=")
        if not (name and mark and path):
            raise UsageError(f"'{entry}' is not NAME=PATTERN. Write --instances hero=roto/hero.####.png")
        shot = matte_source(path, settings.mask_channel, missing=missing, needed=needed)
        names.append(name)
        shots.append(over_window_of(plate, shot if keyed else hold_still(shot, plate.frames), f"mask of {name}"))
    return instances_of(shots, names)
