"""From a plate and a guide to a matte: the one bridge between colour and the engine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from matte_core.colour import (
    View,
    encode_for_network,
    load_config,
    make_view,
    measure_exposure,
    reference_frames,
    solver_light,
)
from matte_core.engine.engine import Engine, pick_precision
from matte_core.engine.graphs import is_compiled
from matte_core.engine.transfer import Answer, over
from matte_core.errors import FrameError, SourceError, UsageError
from matte_core.frame import REMARK, Attribute, Frame, FrameRange, Header, Json, Pixels
from matte_core.guide import Guide, Matte
from matte_core.masks import unseen
from matte_core.models.base import Card
from matte_core.models.catalogue import model
from matte_core.models.weights import sum_of, usable
from matte_core.pull import frames
from matte_core.shot import Shot, make
from matte_core.smoothing import smooth_matte
from matte_core.takes import cuts_of, cuts_seen, stretches, takes
from matte_core.trimap import describe_guide, snap, trimap_from_mask
from matte_core.verb import Declaration, Job, Result, Verb, register
from matte_core.video import windowed_matte
from matte_core.windows import over_window_of

REGIONS = ("background", "unknown", "foreground")
NO_SUBJECT = "no subject was found, and the matte is empty"
STOPS = 4  # the shot's exposure is kept to a quarter of a stop, so that one mended frame does not change it


def view_of(plate: Shot) -> View:
    """How `plate` is shown to models: its space, and one exposure measured over the whole shot.

    Reads at most nine frames. Frames that cannot be read are passed over: the run names them.
    """
    view = make_view(load_config(plate.header.colour_config), plate.header.colour_space)
    if view.display:
        return view
    exposure = measure_exposure((frame.pixels for frame in _readable(plate)), view)
    return replace(view, exposure=float(f"{2 ** (round(math.log2(exposure) * STOPS) / STOPS):.6g}"))


def guide_of_masks(masks: Shot, name: str, shrink: float, grow: float, softness: float) -> Guide:
    """What the model called `name` is told of rough masks (K, H, W): the masks, or a trimap around their edges."""
    if "instances" in model(name).card.guides:
        return Guide(instances=masks)
    return Guide(trimap=trimap_from_mask(masks, shrink, grow, softness))


def matte_of(
    plate: Shot,
    guide: Guide,
    name: str,
    precision: str,
    device: torch.device,
    view: View | None = None,
    cuts: str = "",
) -> Matte:
    """The matte of `plate` by the model called `name`, told by `guide`: alpha (K, H, W) in 0..1.

    `view` is the plate's, where it was asked for already. `cuts` are the frame numbers at which new takes begin, for
    models that look at several frames: empty, they are found while the shot is pulled; "none". Raises ModelError,
    UsageError or ColourError where it cannot be made, before a frame is computed.
    """
    card = model(name).card
    if card.keyed:
        raise UsageError(f"{name} carries masks from keyframes. Use Video Matte, or matte sequence --mask.")
    if card.answers != "alpha":
        raise UsageError(f"{name} answers with a {card.answers}, not with an alpha. See: matte models")
    usable(card)
    window = plate.header.data
    if min(window.width, window.height) < card.smallest:
        raise UsageError(
            f"the plate is {window.width}x{window.height} pixels, and {name} needs {card.smallest} a side at least. "
            "Give the picture in its full size."
        )
    guides, view = _wanted(plate, guide, card), view or view_of(plate)
    layers = _layers(guides)
    if card.first:
        first = matte_of(plate, guide, card.first, precision, device, view, cuts)
        guides["alpha"] = smooth_matte(plate, first, view, cuts=cuts) if card.motion else first
    return _described("estimate alpha", plate, guides, card, precision, device, view, layers, cuts)


def regions_of(plate: Shot, mask: Shot, name: str, precision: str, device: torch.device, view: View) -> Shot:
    """What the model called `name` makes of a rough `mask`: (3 * K, H, W), the probabilities of background, unknown
    and foreground of each of the mask's K layers.

    Raises ModelError or UsageError where they cannot be made, before a frame is computed.
    """
    card = model(name).card
    if card.answers != "trimap":
        raise UsageError(f"{name} answers with an {card.answers}, not with a trimap. See: matte models")
    guides = _wanted(plate, Guide(mask=mask), card)
    channels = [f"{layer}.{region}" for layer in _layers(guides) for region in REGIONS]
    return _described("estimate regions", plate, guides, card, precision, device, view, channels)


def _layers(guides: Mapping[str, Shot]) -> Sequence[str]:
    """Names of the mattes that a model makes, told by `guides`."""
    first = next(iter(guides.values()), None)
    return ["matte"] if first is None else ["matte" if name == "A" else name for name in first.channels]


def _described(
    verb: str,
    plate: Shot,
    guides: Mapping[str, Shot],
    card: Card,
    precision: str,
    device: torch.device,
    view: View,
    channels: Sequence[str],
    cuts: str = "",
) -> Shot:
    """The shot that `verb` makes of the plate and the guides with the card's model, over the frames all have."""
    inputs = [plate, *guides.values()]
    both = FrameRange(n for n in plate.frames if all(n in shot.frames for shot in inputs))
    if not both:
        other = next(f"the {word} has frames {shot.frames}" for word, shot in guides.items())
        raise UsageError(
            f"{other} and the plate has {plate.frames}: none in common. "
            "Give a guide of the same frames, or a still for the whole shot."
        )
    parameters = settings_of(card, precision, device, view) | {"guides": list(guides)}
    header = replace(plate.header, colour_space="", linear=True)
    if card.motion:
        return windowed_matte(plate, guides, parameters, both, header, channels, cuts)
    parameters["half"] = precision == "auto"  # whether half precision may be taken where memory is short
    if card.carries or card.before or card.after:
        known = cuts_of(cuts, plate.frames)
        parameters["cuts"] = None if known is None else list(known)
        inputs += [takes(plate, view)] if known is None else []
    return make(verb, inputs, parameters, kind="matte", frames=both, header=header, channels=channels)


def settings_of(card: Card, precision: str, device: torch.device, view: View) -> dict[str, Json]:
    """What decides a model's answers, as a verb's parameters: model, weights, precision, and how it sees the plate."""
    return {
        "model": card.name,
        "version": card.version,
        "weights": sum_of(card),
        "precision": pick_precision(card, precision, torch.device("cpu") if card.on_cpu_only else device),
        "view": view.to_parameters(),
        **({"compiled": True} if is_compiled(card) else {}),
    }


def shown(frame: Frame, view: View, card: Card) -> Tensor:
    """A plate's pixels (3, H, W) in the light that the card asks for."""
    look = solver_light if card.encoding == "linear" else encode_for_network
    return torch.from_numpy(look(frame.pixels, view))


def _wanted(plate: Shot, guide: Guide, card: Card) -> dict[str, Shot]:
    """The guides that the model needs, over the plate's window. Raises UsageError where one is missing or useless."""
    given = guide.named()
    missing = [name for name in card.guides if name not in given]
    if missing:
        needed = "mask for each instance" if missing[0] == "instances" else missing[0]
        raise UsageError(f"{card.name} needs a {needed}, and none was given. Give one, or choose another model.")
    guides: dict[str, Shot] = {name: over_window_of(plate, given[name], name) for name in card.guides}
    for name, shot in guides.items():
        # another model's answer is not there yet
        if all(source.declaration.lane != "device" for source in shot.lineage()):
            guides[name] = replace(shot, notes=(*shot.notes, *unseen(refuse_useless(shot, name), shot.channels)))
    return guides


def _readable(shot: Shot, numbers: FrameRange | None = None) -> list[Frame]:
    found: list[Frame] = []
    for number in reference_frames(numbers or shot.frames):
        try:
            found.extend(frames(shot, [number]))
        except FrameError as error:
            if not isinstance(error.cause, SourceError):
                raise
    return found


def refuse_useless(shot: Shot, name: str, numbers: FrameRange | None = None) -> list[Frame]:
    """The frames looked at. Raises UsageError where each says nothing to the model: empty, full, nothing unknown.

    At most nine of the shot's frames, or of `numbers`, are looked at.
    """
    looked = _readable(shot, numbers) if name != "background" else []
    said = [describe_guide(frame, name) for frame in looked]
    if said and all(said):
        others = f", and so in all {len(said)} frames looked at" if len(said) > 1 else ""
        raise UsageError(f"{said[0]}{others}. Give a guide that shows the subject.")
    return looked


def _declare(parameters: Mapping[str, Json]) -> Declaration:
    card = model(parameters["model"]).card
    window = (card.before, card.after)
    return Declaration(
        windows=(window,) * (2 + len(parameters["guides"])),
        batch=card.batch,
        clip=card.clip,
        carries=card.carries,
        warm_up=card.warm_up,
        begins=tuple(parameters.get("cuts") or ()) if card.carries else (),
        lane="device",
    )


def _estimate(job: Job) -> Result:
    engine = cast(Engine, job.tools)
    chosen, state, begun = model(job.parameter("model")), job.state, []
    view = View.from_parameters(job.parameter("view"))
    light = solver_light if chosen.card.encoding == "linear" else encode_for_network
    precision, half = job.parameter("precision"), job.parameter("half")
    for numbers in stretches(job):
        state = None if numbers[0] in cuts_seen(job) else state
        plate = _batch([over(frame.pixels) for frame in _window(job, 0, numbers)])
        guides = {
            name: _batch([_told(name, frame.pixels) for frame in _window(job, which, numbers)])
            for which, name in enumerate(job.parameter("guides"), start=1)
        }
        if chosen.card.light:
            guides["light"] = told_light(view, plate)
        answer, state = engine.begin(
            chosen, plate, guides, state, precision, look=lambda picture: light(picture, view), half=half
        )
        headers = [replace(job.frames[0][number].header, colour_space="", linear=True) for number in numbers]
        begun.append((numbers, headers, answer))

    def finish() -> list[Frame]:
        return [frame for numbers, headers, answer in begun for frame in _made(chosen.card, numbers, headers, answer)]

    if all(answer.ready for _, _, answer in begun):
        return Result(finish(), state)
    return Result((), state, finish)


def told_light(view: View, plate: Tensor) -> Tensor:
    """(T, 1, H, W) of 1 where the pixels of `plate` (T, C, H, W) are scene-linear, and of -1 where display-referred."""
    return torch.full((len(plate), 1, 1, 1), -1.0 if view.display else 1.0).expand(-1, -1, *plate.shape[-2:])


def _made(card: Card, numbers: Sequence[int], headers: Sequence[Header], answer: Answer) -> Iterator[Frame]:
    layers = answer.take()["alpha" if card.answers == "alpha" else "regions"]
    alphas = cast(Sequence[Pixels], layers.clamp(0, 1).numpy())
    for number, header, alpha in zip(numbers, headers, alphas, strict=True):
        if not card.guides and not alpha.any():
            header = header.with_attributes([Attribute(REMARK, "string", NO_SUBJECT)])
        pixels = np.array(alpha) if len(numbers) > 1 else alpha  # a view would keep the whole batch alive
        yield Frame(pixels, number, header)


def _window(job: Job, which: int, numbers: Sequence[int]) -> list[Frame]:
    """Frames of input `which` from before the first to after the last of `numbers`, ends as the model's card says.

    A take ends as the shot does: its frames stand for what lies beyond a cut.
    """
    declared = job.shot.declaration
    first = declared.needed(job.shot, which, numbers[0])
    every = [*first, *(declared.needed(job.shot, which, number)[-1] for number in numbers[1:])]
    cuts = cuts_seen(job)
    begin = max((cut for cut in cuts if cut <= numbers[0]), default=every[0])
    after = min((cut for cut in cuts if cut > numbers[-1]), default=every[-1] + 1)
    inside = [number for number in every if begin <= number < after]
    if model(job.parameter("model")).card.ends == "cut":
        return [job.frames[which][number] for number in dict.fromkeys(inside) if number in job.shot.frames]
    return [job.frames[which][min(max(number, inside[0]), inside[-1])] for number in every]


def _told(name: str, pixels: Pixels) -> Tensor:
    """A guide's pixels for a model: a trimap has three values, whatever its file was saved with."""
    return torch.from_numpy(snap(pixels) if name == "trimap" else pixels.copy())


def _batch(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (C, H, W) as one tensor (T, C, H, W); a single one is not copied."""
    return pictures[0][None] if len(pictures) == 1 else torch.stack(list(pictures))


def _recipe(parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    return {name: value for name, value in parameters.items() if name != "half"}


register(Verb("estimate alpha", _estimate, declare=_declare, recipe=_recipe))
register(Verb("estimate regions", _estimate, declare=_declare, recipe=_recipe))
