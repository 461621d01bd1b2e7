"""Cryptomatte as shots: a renderer's file read into named instances, a matte's instances ranked for a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from matte_core.errors import SourceError, UsageError
from matte_core.frame import Frame, Json, Pixels
from matte_core.io import cryptomatte
from matte_core.io.cryptomatte import Cryptomatte
from matte_core.io.image import FileInfo, read_attributes, read_header
from matte_core.io.reader import read_sequence
from matte_core.io.sequence import Found, Missing, find
from matte_core.pull import frames as pulled
from matte_core.shot import Shot, make
from matte_core.verb import Job, Result, Verb, register

TYPE_NAME = "CryptoObject"  # what the Cryptomatte is called in files written here
_LONGEST_MANIFEST = 1 << 28


def read_cryptomatte(
    path: str, instances: str = "", layer: str = "", frames: str | None = None, missing: Missing = "error"
) -> Shot:
    """The coverage (K, H, W) in 0..1 of K named instances of a Cryptomatte, one layer each, by the manifest's names.

    instances  names with commas between, * and ? as wildcards; "" for all
    layer      which Cryptomatte of the file (`crypto_object`); "" where only one has names

    The manifests of all frames count together. A file without one gives instances by name (it is hashed) or by
    id, eight hex digits; "" then means what covers anything in the first frame. Raises SourceError or UsageError.
    """
    found = find(path, frames)
    chosen = _chosen(found.pattern.name, _sets(found), layer)
    pairs = [
        read_sequence(path, frames, part=part, missing=missing, kind="data", channel=",".join(channels))
        for part, channels in _places(_first_header(found), chosen.name)
    ]
    if chosen.manifest or instances.strip():
        ids = cryptomatte.choose(chosen.manifest, instances)
    else:
        first = _joined([next(iter(pulled(shot, shot.frames[:1]))) for shot in pairs])
        ids = {f"{value:08x}": value for value in cryptomatte.ids_in(first)[: cryptomatte.MOST_INSTANCES]}
    if not ids:
        raise SourceError(f"The Cryptomatte {chosen.name} of {found.pattern.name} holds no instance. Render it again.")
    return make(
        "read cryptomatte",
        pairs,
        {"layer": chosen.name, "ids": [f"{value:08x}" for value in ids.values()]},
        kind="matte",
        channels=list(ids),
        notes=[f"Instances of {chosen.name}: {', '.join(ids)}."],
    )


def ranked(matte: Shot) -> Shot:
    """The matte's instances as pairs of id and coverage, the most covered first: the channels of a Cryptomatte.

    Raises UsageError where two instances have the same name or id.
    """
    cryptomatte.header_of(TYPE_NAME, matte.channels)
    values = 2 * cryptomatte.ranks_for(len(matte.channels))
    channels = [f"{TYPE_NAME}{place // 4:02d}.{'RGBA'[place % 4]}" for place in range(values)]
    return make("rank instances", [matte], {"names": list(matte.channels)}, kind="data", channels=channels)


def attributes(matte: Shot) -> dict[str, str]:
    """Header entries of the Cryptomatte that `ranked` makes of the matte."""
    return cryptomatte.header_of(TYPE_NAME, matte.channels)


def _sets(found: Found) -> dict[str, Cryptomatte]:
    """The Cryptomattes of the shot by name, each with the manifests of all frames."""
    manifests: dict[str, dict[str, int]] = {}
    before: dict[str, Json] = {}
    for number in found.on_disk:
        path = found.file_for(number)
        try:
            said = read_attributes(path, "cryptomatte/", number)
        except SourceError:
            continue  # the reader settles damaged frames, as it is told to
        if said != before:
            for each in cryptomatte.cryptomattes(said):
                manifests.setdefault(each.name, {}).update(each.manifest or _beside(path, each))
        before = said
    return {name: Cryptomatte(name, manifest) for name, manifest in manifests.items()}


def _beside(path: Path, said: Cryptomatte) -> Mapping[str, int]:
    """The manifest in a file beside the picture; none where that file would be elsewhere or is not there."""
    place = PurePosixPath(said.manifest_file)
    if not said.manifest_file or place.is_absolute() or ".." in place.parts or "\\" in said.manifest_file:
        return {}
    file = path.parent / place
    try:
        fits = file.is_file() and file.stat().st_size <= _LONGEST_MANIFEST  # a pipe would be waited for
        if not fits or not file.resolve().is_relative_to(path.parent.resolve()):
            return {}
        return cryptomatte.parse_manifest(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _chosen(file: str, sets: Mapping[str, Cryptomatte], layer: str) -> Cryptomatte:
    if not sets:
        raise SourceError(f"{file} holds no Cryptomatte. Give the file that the renderer wrote its Cryptomatte to.")
    if layer:
        if layer not in sets:
            raise UsageError(f"{file} has no Cryptomatte '{layer}'. It has: {', '.join(sets)}.")
        return sets[layer]
    named = [each for each in sets.values() if each.manifest] or list(sets.values())
    if len(named) > 1:
        there = ", ".join(each.name for each in named)
        raise UsageError(f"{file} has several Cryptomattes: {there}. Name one (layer, or --mask-channel).")
    return named[0]


def _first_header(found: Found) -> FileInfo:
    """The header of the first file that can be read. Raises SourceError where none can."""
    for number in found.on_disk[:-1]:
        try:
            return read_header(found.file_for(number), number)
        except SourceError:
            continue
    return read_header(found.file_for(found.on_disk[-1]), found.on_disk[-1])


def _places(info: FileInfo, name: str) -> list[tuple[str, list[str]]]:
    """Parts, and channels in them, that hold the pairs by rank: one part, or one for each layer as in Nuke's files.

    Raises SourceError where they are not there, or cannot hold ids.
    """
    homes: dict[str, tuple[str, str, str]] = {}
    for part in info.parts:
        for channel, kind in zip(part.channels, part.types, strict=True):
            full = channel if channel.startswith(name) else f"{part.name}.{channel}"
            homes.setdefault(full, ("" if len(info.parts) == 1 else str(part.index), channel, kind))
    places: list[tuple[str, list[str]]] = []
    for full in cryptomatte.rank_channels(name, list(homes)):
        part_index, channel, kind = homes[full]
        if kind != "float":
            raise SourceError(f"{info.file} keeps {channel} as {kind}, which destroys ids. Render it as 32-bit float.")
        if not places or places[-1][0] != part_index:
            places.append((part_index, []))
        places[-1][1].append(channel)
    if not places:
        raise SourceError(f"{info.file} names the Cryptomatte {name} but has no channels {name}00. Render it again.")
    return places


def _joined(pictures: Sequence[Frame]) -> Pixels:
    return np.concatenate([picture.pixels for picture in pictures])


def _read(job: Job) -> Result:
    ids = [int(value, 16) for value in job.parameter("ids")]
    made = []
    for number in job.numbers:
        pictures = [job.one(which, number) for which in range(len(job.shot.inputs))]
        pixels = cryptomatte.decode(_joined(pictures), ids)
        made.append(pictures[0].having(pixels))
    return Result(made)


def _rank(job: Job) -> Result:
    ids = [cryptomatte.id_of(name) for name in job.parameter("names")]
    count = len(job.shot.channels) // 2
    return Result([job.one(0, n).having(cryptomatte.encode(job.one(0, n).pixels, ids, count)) for n in job.numbers])


register(Verb("read cryptomatte", _read))
register(Verb("rank instances", _rank))
