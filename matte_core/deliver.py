"""Deliverables: which channels a file holds for the compositor who asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matte_core.compose import premultiply
from matte_core.errors import UsageError
from matte_core.shot import Shot

KINDS: Mapping[str, str] = {
    "matte": "the alpha alone, as channel A (several instances: <name>.A)",
    "straight": "straight foreground colour as RGB, and A",
    "premultiplied": "foreground times alpha as RGB, and A: what Merge expects",
    "layers": "premultiplied RGBA, the straight foreground as straight.RGB, and <name>.A per instance, in one file",
}


@dataclass(frozen=True)
class Deliverable:
    """One file per frame: its kind, the shots it is made of, their channel names, what its header says."""

    kind: str
    inputs: tuple[Shot, ...]
    names: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, str]

    @property
    def has_colour(self) -> bool:
        return "R" in {name for names in self.names for name in names}


def parse_kinds(text: str) -> list[str]:
    """Kinds of "matte,layers", each once. Raises UsageError for an unknown one."""
    kinds = list(dict.fromkeys(piece.strip() for piece in text.split(",") if piece.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise UsageError(f"'{(unknown or [text])[0]}' is no deliverable. Choose from: {', '.join(KINDS)}.")
    return kinds


def needs_foreground(kinds: Sequence[str]) -> bool:
    """Whether any of `kinds` holds colour."""
    return any(kind != "matte" for kind in kinds)


def deliverable(kind: str, matte: Shot, total: Shot, foreground: Shot | None) -> Deliverable:
    """What a file of `kind` holds: `matte` has K layers, `total` is their sum, the foreground is straight."""
    layers = tuple(f"{'matte' if name == 'A' else name}.A" for name in matte.channels)
    single = len(matte.channels) == 1
    if kind == "matte":
        return Deliverable(kind, (matte,), (("A",) if single else layers,), {})
    if foreground is None:
        raise UsageError(f"the deliverable '{kind}' holds colour, and no foreground was given. Connect a foreground.")
    if kind == "straight":
        return Deliverable(kind, (foreground, total), (("R", "G", "B"), ("A",)), {"matte/alpha": "straight"})
    product = premultiply(foreground, total)
    if kind == "premultiplied":
        return Deliverable(kind, (product, total), (("R", "G", "B"), ("A",)), {"matte/alpha": "premultiplied"})
    return Deliverable(
        kind,
        (product, total, foreground, matte),
        (("R", "G", "B"), ("A",), ("straight.R", "straight.G", "straight.B"), layers),
        {"matte/alpha": "premultiplied", "matte/straight": "straight"},
    )
