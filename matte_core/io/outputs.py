"""What may stand in an output file: channel names that Nuke keeps, codecs that leave a matte as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matte_core.errors import UsageError
from matte_core.shot import Shot

# OpenImageIO writes zip, silently, for a codec it does not know; so only these are let through.
CODECS = ("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab")

DEPTHS = ("half", "float", "8", "16")

_LOSSY = ("pxr24", "b44", "b44a")
_DWA_LOSSY = ("R", "G", "B", "Y", "RY", "BY")  # the last names of channels that DWA changes; all others stay exact
_BARE = ("R", "G", "B", "A", "Y", "Z")  # any other name without a layer lands in Nuke's layer "other"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*")
_FLAT = (("R", "G", "B", "A"), ("R", "G", "B"))


def check_channels(inputs: Sequence[Shot], names: Sequence[Sequence[str]], format: str) -> None:
    """Nothing, where `names` fit the inputs' channels and the file. Raises UsageError."""
    if len(names) != len(inputs):
        raise UsageError(
            f"{len(inputs)} shots are to be written under {len(names)} lists of names. Give one list each."
        )
    for shot, each in zip(inputs, names, strict=True):
        if len(each) != len(shot.channels):
            raise UsageError(
                f"'{shot.verb}' has {len(shot.channels)} channels ({', '.join(shot.channels)}), but {len(each)} names "
                f"were given ({', '.join(each)}). Name each channel."
            )
    every = [name for each in names for name in each]
    for name in every:
        if name not in _BARE and not _NAME.fullmatch(name):
            raise UsageError(
                f"Nuke would not keep the channel name '{name}'. Name it <layer>.A, in letters and digits."
            )
    seen: dict[str, str] = {}
    for name in every:
        if name.lower() in seen:
            raise UsageError(f"Two channels are called '{seen[name.lower()]}' and '{name}'. Name them apart.")
        seen[name.lower()] = name
    if format in ("png", "tiff") and len(every) != 1 and tuple(every) not in _FLAT:
        raise UsageError(f"A {format} file holds one channel, RGB or RGBA, not {', '.join(every)}. Write EXR.")


def check_storage(
    inputs: Sequence[Shot],
    names: Sequence[Sequence[str]],
    format: str,
    compression: str,
    depth: str,
    attributes: Mapping[str, str],
) -> tuple[str, str]:
    """Codec and depth ("half", "float", "8", "16") for the file's format. Raises UsageError."""
    depths = {"openexr": ("half", "float"), "png": ("half", "8", "16"), "tiff": ("half", "float", "8", "16")}
    if format not in depths:
        raise UsageError("Frames are written as .exr, .png or .tif. End the pattern in one of them.")
    if depth not in depths[format]:
        raise UsageError(f"A {format} file has no depth '{depth}'. Use one of {', '.join(depths[format])}.")
    if format == "png" and attributes.get("matte/rgb") == "premultiplied":
        raise UsageError("A PNG holds straight colour only. Write EXR or TIFF for premultiplied colour.")
    if format != "openexr":
        if any(shot.kind == "data" for shot in inputs):
            raise UsageError(f"A {format} file holds no Cryptomatte. Write EXR.")
        return "", "16" if depth == "half" else depth
    codec, _, level = compression.partition(":")
    if codec not in CODECS or (level and not (codec.startswith("dwa") and level.isdigit())):
        raise UsageError(f"The codec '{compression}' is not known. Use one of {', '.join(CODECS)}.")
    mattes = [name for shot, each in zip(inputs, names, strict=True) if shot.kind != "plate" for name in each]
    if mattes and codec in _LOSSY:
        raise UsageError(f"The codec {codec} would change the matte {mattes[0]}. Use zip, or piz for grain.")
    changed = [name for name in mattes if name.rpartition(".")[2] in _DWA_LOSSY]
    if changed and codec.startswith("dwa"):
        layer = changed[0].rpartition(".")[0] or "matte"
        if any(shot.kind == "data" for shot in inputs):
            raise UsageError(f"The codec {codec} would change the ids of {layer}. Use zip, or piz for grain.")
        raise UsageError(f"The codec {codec} would change the matte {changed[0]}. Name it {layer}.A, or use zip.")
    return compression, depth
