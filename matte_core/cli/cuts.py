"""`matte cuts`: the frames at which a new take begins."""

from __future__ import annotations

import json
import sys

import click

from matte_core.frame import FrameRange
from matte_core.matting import view_of
from matte_core.sources import plate_source
from matte_core.takes import find_cuts


@click.command()
@click.argument("plate")
@click.option("--frames", default="", metavar="RANGE", help="Only these, such as 1001-1100.")
@click.option("--in-space", default="", metavar="SPACE", help="Colour space of the plate. Default: read from the file.")
@click.option("--missing", default="error", show_default=True, type=click.Choice(["error", "hold", "skip"]))
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def cuts(plate: str, frames: str, in_space: str, missing: str, machine: bool) -> None:
    """Find the frames of PLATE at which a new take begins; Smooth Matte finds the same and never filters over them."""
    shot = plate_source(plate, frames, space=in_space, missing=missing)
    found = [number for number, cut in find_cuts(shot, view_of(shot)) if cut]
    if machine:
        sys.stdout.write(json.dumps({"cuts": found, "frames": str(shot.frames)}) + "\n")
        return
    takes = f"{len(found)} cut{'s' * (len(found) > 1)}, new takes begin at {FrameRange(found)}" if found else "no cut"
    sys.stdout.write(f"{takes} in {len(shot.frames)} frames ({shot.frames}).\n")
