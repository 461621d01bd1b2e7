"""The OpenColorIO configuration: which one, its spaces by any of their names, and a space as numbers."""

from __future__ import annotations

import copy
import difflib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from matte_core.colour.curves import CURVE_FROM, CURVE_SAMPLES, CURVE_TO, pack_curve, srgb_decode
from matte_core.colour.gamuts import Matrix, matrix_primaries
from matte_core.errors import ColourError
from matte_core.frame import Pixels
from matte_core.late import late

ocio = late("PyOpenColorIO")

# Full names, because "latest" means another ACES version in every release of OpenColorIO; the second is
# for OpenColorIO 2.4, which has not got the first.
PINNED = ("studio-config-v4.0.0_aces-v2.0_ocio-v2.5", "studio-config-v2.2.0_aces-v1.3_ocio-v2.4")

REC709 = "Linear Rec.709 (sRGB)"
_LINEAR_NAMES = (REC709, "lin_rec709_scene", "lin_rec709", "lin_srgb", "Utility - Linear - sRGB")
_LEGACY_LINEAR = "linear"  # Rec.709 in the configurations from before ACES, which have no interchange roles
_TEXTURE_NAMES = ("sRGB Encoded Rec.709 (sRGB)", "sRGB - Texture", "Utility - sRGB - Texture", "sRGB")
_LOUDNESS = threading.RLock()


@dataclass(frozen=True)
class Transfer:
    """The way from a space to linear Rec.709: a curve per channel, then a matrix (nine numbers, row by row).

    `curve` is "" (none), "srgb", or sampled as text (see `curves.pack_curve`); `white` is what it makes of 1.
    """

    curve: str
    white: float
    matrix: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Config:
    """An OpenColorIO configuration.

    identity  its name and, for a file, a hash of its contents; never a folder
    chosen    whether somebody asked for it, by argument or $OCIO
    """

    handle: Any
    identity: str
    chosen: bool

    def canonical(self, name: str) -> str:
        """The space's own name for a name, alias or role in any case; "" where there is none."""
        with quiet():
            space = self.handle.getColorSpace(name) if name else None
        return str(space.getName()) if space else ""

    @property
    def linear(self) -> str:
        """What an untagged float file is in: the scene_linear role of a configuration that was chosen, else Rec.709.

        An EXR without chromaticities is Rec.709 by its specification. "" where neither exists.
        """
        role = self.canonical("scene_linear") if self.chosen else ""
        return role or self._first(_LINEAR_NAMES)

    @property
    def texture(self) -> str:
        """What an untagged integer file is in: the space of the sRGB curve; "" where there is none."""
        return self._first((*_TEXTURE_NAMES, "texture_paint", "color_picking"))

    def near(self, name: str, most: int = 4) -> list[str]:
        """Spaces with a name or alias that resembles `name`, the likest first."""
        owner = {str(known).lower(): space for space in self.spaces() for known in (space, *self._aliases(space))}
        wanted = name.lower()
        likely = difflib.get_close_matches(wanted, owner, n=3 * most, cutoff=0.5)
        likely += [known for known in owner if wanted and wanted in known]
        return list(dict.fromkeys(owner[known] for known in likely))[:most]

    def spaces(self) -> list[str]:
        """Names of the scene-referred spaces on offer, the scene_linear role's first."""
        names = self.handle.getColorSpaceNames(ocio.SEARCH_REFERENCE_SPACE_SCENE, ocio.COLORSPACE_ACTIVE)
        first = self.canonical("scene_linear")
        return sorted((str(name) for name in names), key=lambda name: name != first)

    def interop(self, space: str) -> str:
        """The space's agreed identifier, "" where the configuration or an older library has none."""
        return str(getattr(self.handle.getColorSpace(space), "getInteropID", str)() or "")

    def display_referred(self, space: str) -> bool:
        """Whether the space holds a picture made for a screen, so that there is no scene light beyond white."""
        transfer = self.transfer(space)
        if not transfer.curve:
            return False
        made_for_screen = self.handle.getColorSpace(space).getReferenceSpaceType() == ocio.REFERENCE_SPACE_DISPLAY
        return made_for_screen or transfer.white < 2  # a camera's log curve has light of ten and more at code value 1

    def file_rule(self, path: str) -> tuple[str, str]:
        """(space, rule) of the file rule that `path` meets, ("", "") where only the default rule is left."""
        with quiet():
            if self.handle.filepathOnlyMatchesDefaultRule(path):
                return "", ""
            space, rule = self.handle.getColorSpaceFromFilepath(path)
        return self.canonical(space), str(self.handle.getFileRules().getName(rule))

    def transfer(self, space: str) -> Transfer:
        """The way from `space` (a canonical name) to linear Rec.709, as numbers.

        Raises ColourError where the way is more than a curve per channel and a matrix.
        """
        return self._transfers(space)

    @cached_property
    def _transfers(self) -> Callable[[str], Transfer]:
        return lru_cache(maxsize=None)(self._decompose)

    @cached_property
    def primaries(self) -> dict[str, Matrix]:
        """Adapted primaries (3, 2) of every scene-linear space that can be used."""
        found = {}
        for space in self.spaces():
            with suppress(ColourError, *_errors()), quiet():
                if self.handle.isColorSpaceLinear(space, ocio.REFERENCE_SPACE_SCENE):
                    found[space] = matrix_primaries(self.transfer(space).matrix)
        return found

    def _aliases(self, space: str) -> list[str]:
        return [str(alias) for alias in self.handle.getColorSpace(space).getAliases()]

    def _first(self, names: tuple[str, ...]) -> str:
        return next((found for name in names if (found := self.canonical(name))), "")

    def _way(self, space: str) -> Any:
        """OpenColorIO's own transforms from `space` to linear Rec.709, in order."""
        with quiet():
            try:
                target = self._first(_LINEAR_NAMES)
                if target or not self.handle.hasRole("aces_interchange"):
                    target = target or self.canonical(_LEGACY_LINEAR)
                    processor = self.handle.getProcessor(space, target)
                else:
                    processor = ocio.Config.GetProcessorToBuiltinColorSpace(self.handle, space, REC709)
                return processor.getOptimizedProcessor(ocio.OPTIMIZATION_LOSSLESS).createGroupTransform()
            except _errors() as error:
                raise ColourError(
                    f"colour space '{space}' of {self.identity} cannot be brought to linear Rec.709 ({_line(error)}). "
                    "Choose another space, or give the configuration an aces_interchange role."
                ) from error

    def _decompose(self, space: str) -> Transfer:
        steps, matrix = list(self._way(space)), np.eye(3)
        while steps and (_is_matrix(steps[-1]) or _is_clamp(steps[-1])):
            step = steps.pop()
            matrix = matrix if _is_clamp(step) else matrix @ np.reshape(step.getMatrix(), (4, 4))[:3, :3]
        rows = tuple(float(f"{value:.9g}") for value in matrix.ravel())
        if not steps:
            return Transfer("", 1.0, rows)
        codes = np.linspace(CURVE_FROM, CURVE_TO, CURVE_SAMPLES, dtype=np.float32)
        mixed = np.random.default_rng(0).random((256, 3), np.float32)
        apart = np.stack([self._run(steps, _grey(mixed[:, channel]))[:, channel] for channel in range(3)], axis=1)
        greys = self._run(steps, _grey(codes))
        if not (
            np.isfinite(greys).all()
            and np.allclose(greys, greys[:, :1], rtol=1e-5, atol=1e-6)
            and np.allclose(self._run(steps, mixed), apart, rtol=1e-5, atol=1e-6)
        ):
            raise ColourError(
                f"colour space '{space}' of {self.identity} mixes its channels in more than a matrix, so its light "
                "cannot be had back exactly. Convert the plate to a scene-linear space first, "
                f"or name '{self.texture}' to take it for an ordinary picture."
            )
        samples = greys[:, 0]
        is_srgb = bool(np.abs(samples - srgb_decode(codes))[codes >= 0].max() < 2e-5)
        white = float(self._run(steps, np.ones((1, 3), np.float32))[0, 0])
        return Transfer("srgb" if is_srgb else pack_curve(samples), white, rows)

    def _run(self, steps: list[Any], codes: Pixels) -> Pixels:
        """What OpenColorIO's `steps` make of `codes` (N, 3), without its approximations."""
        with quiet():
            processor = self.handle.getProcessor(ocio.GroupTransform(steps))
        values = codes.copy()
        depth = ocio.BIT_DEPTH_F32
        processor.getOptimizedCPUProcessor(depth, depth, ocio.OPTIMIZATION_NONE).applyRGB(values)
        return values


def load_config(argument: str = "") -> Config:
    """The configuration of `argument` (a file or "ocio://..."), else of $OCIO, else the built-in one.

    Raises ColourError where it cannot be read, saying where its path came from.
    """
    path, origin = argument, "--ocio"
    if not path:
        path, origin = os.environ.get("OCIO", ""), "$OCIO"
    if not path:
        known = {entry[0] for entry in ocio.BuiltinConfigRegistry().getBuiltinConfigs()}
        path, origin = "ocio://" + next((name for name in PINNED if name in known), PINNED[-1]), ""
    file = Path(path)
    return _load(path, origin, file.stat().st_mtime_ns if file.is_file() else 0)


def stays_inside(path: str) -> bool:
    """Whether the configuration at `path` reads nothing but what lies below its folder, or in its archive.

    One that names a variable is taken for one that does not. Raises ColourError where it cannot be read.
    """
    config = copy.deepcopy(load_config(path).handle)
    config.setWorkingDir(os.sep)
    named = [*config.getSearchPaths(), *re.findall(r"<FileTransform> (.*)", config.serialize())]
    return bool(config.isArchivable()) and not any(re.search(r"[$%]|\.\.", each) for each in named)


@lru_cache(maxsize=8)
def _load(path: str, origin: str, modified: int) -> Config:
    try:
        with quiet():
            handle = ocio.Config.CreateFromFile(path)
        identity = str(handle.getName()) or Path(path).stem
        if modified:
            identity += " " + hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
    except (*_errors(), OSError) as error:
        cure = (
            "Correct --ocio." if origin == "--ocio" else "Correct or unset $OCIO." if origin else "Update OpenColorIO."
        )
        place = f"{origin} names '{path}', which" if origin else f"'{path}'"
        raise ColourError(f"{place} cannot be read as an OpenColorIO configuration ({_line(error)}). {cure}") from error
    return Config(handle, identity, chosen=bool(origin))


@contextmanager
def quiet() -> Iterator[None]:
    """OpenColorIO writes no log to stderr meanwhile: what matters comes as an error."""
    with _LOUDNESS:
        level = ocio.GetLoggingLevel()
        ocio.SetLoggingLevel(ocio.LOGGING_LEVEL_NONE)
        try:
            yield
        finally:
            ocio.SetLoggingLevel(level)


def _errors() -> tuple[type[Exception], type[Exception]]:
    return ocio.Exception, ocio.ExceptionMissingFile  # to Python the second is not one of the first


def _is_matrix(step: Any) -> bool:
    return isinstance(step, ocio.MatrixTransform) and not any(step.getOffset())


def _is_clamp(step: Any) -> bool:
    """Whether the step only clips, as ACEScc does outside AP0: left out, since light is not clipped here."""
    return (
        isinstance(step, ocio.RangeTransform)
        and (not step.hasMinInValue() or step.getMinInValue() == step.getMinOutValue())
        and (not step.hasMaxInValue() or step.getMaxInValue() == step.getMaxOutValue())
    )


def _grey(values: Pixels) -> Pixels:
    return np.repeat(values[:, None], 3, axis=1)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
