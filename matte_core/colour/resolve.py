"""Which colour space a plate is in and how that is known; and the tags that tell the next reader."""

from __future__ import annotations

from dataclasses import dataclass

from matte_core.colour.config import Config
from matte_core.colour.gamuts import PUBLISHED, adapted_primaries, closest, is_gamut, matrix_primaries, published, tags
from matte_core.errors import ColourError
from matte_core.frame import Attribute, Header


@dataclass(frozen=True)
class Resolved:
    """A colour space by its own name, and a short phrase that says how it is known."""

    space: str
    why: str


def resolve_space(config: Config, header: Header, path: str, asked: str = "") -> Resolved:
    """The colour space of the file at `path`: what was asked, else the first thing that is known about it.

    In order: `asked`; the file's colorInteropID; its chromaticities (float files); its oiio:ColorSpace;
    a file rule, if the configuration was chosen; the default for float or for integer files. Chromaticities
    come before oiio:ColorSpace because some readers fill that in for every float file.
    Raises ColourError for an asked name that the configuration does not know, with the names near to it.
    """
    if asked:
        return Resolved(named(config, asked), "as asked")
    remark = ""
    for tag in ("colorInteropID", "chromaticities", "oiio:ColorSpace"):
        value = header.attribute(tag)
        if value is None or value in ("", "unknown") or (tag == "chromaticities" and not header.linear):
            continue
        found = _with_chromaticities(config, value) if tag == "chromaticities" else _with_tag(config, str(value))
        if found:
            return Resolved(found, f"the file's {tag}")
        remark = remark or f"; the file's {tag} matches no space of {config.identity}"
    space, rule = config.file_rule(path) if config.chosen else ("", "")
    if space:
        return Resolved(space, f"file rule '{rule}' of {config.identity}")
    space, kind = (config.linear, "float") if header.linear else (config.texture, "integer")
    if not space:
        raise ColourError(
            f"the colour space of {path} is not known, and {config.identity} has no default for {kind} files. Name it."
        )
    return Resolved(space, f"default for {kind} files{remark}")


def named(config: Config, name: str) -> str:
    """The space's own name for a name, alias or role in any case. Raises ColourError with the names near to it."""
    space = config.canonical(name)
    if space:
        return space
    near = config.near(name)
    cure = (
        f"Did you mean {' or '.join(repr(other) for other in near)}?" if near else "Name a space of that configuration."
    )
    raise ColourError(f"colour space '{name}' is not in {config.identity}. {cure}")


def tags_for(config: Config, space: str) -> tuple[Attribute, ...]:
    """Header entries colorInteropID and chromaticities for pictures in `space`.

    Raises ColourError where the space is not known or is more than a curve and a matrix.
    """
    space = named(config, space)
    transfer = config.transfer(space)
    gamut = published(matrix_primaries(transfer.matrix))
    return tags(gamut, config.interop(space) or ("" if transfer.curve else gamut.interop))


def _with_tag(config: Config, tag: str) -> str:
    """The space a tag names, also where the configuration is older than the agreed identifiers."""
    agreed = next((gamut for gamut in PUBLISHED if gamut.interop == tag.lower()), None)
    return config.canonical(tag) or (_with_chromaticities(config, agreed.chromaticities) if agreed else "")


def _with_chromaticities(config: Config, chromaticities: object) -> str:
    """The scene-linear space with these primaries, "" where the configuration has none or they are no gamut."""
    if not isinstance(chromaticities, (list, tuple)) or not is_gamut(chromaticities):
        return ""
    return closest(adapted_primaries(chromaticities), config.primaries)
