"""The readers that meet files of strangers, each with samples, a way to damage them, and one try at a damaged file."""

from __future__ import annotations

import io
import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import torch
from fuzz_mutations import TEXTS, bytes_changed, json_changed, safetensors_changed
from safetensors.torch import save
from torch import nn

import matte_core.ops  # noqa: F401  (the operations that workflows name)
from matte_core.engine.engine import Engine
from matte_core.errors import FrameError, MatteError
from matte_core.graph import run_workflow
from matte_core.io import cryptomatte
from matte_core.io.cryptomatte_shots import read_cryptomatte
from matte_core.io.image import read_attributes, read_header, read_pixels
from matte_core.io.reader import files_behind, read_sequence
from matte_core.io.writer import check_output, pending
from matte_core.models.weights import find, load_into
from matte_core.paths import Roots
from matte_core.plan import Plan
from matte_core.pull import Run
from matte_core.train.checkpoint import read_tensors

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 24, 16
CODECS = ("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "dwaa", "dwab")
Random = random.Random


@dataclass(frozen=True)
class Target:
    """One kind of file: whole samples, how a damaged one is made, and what Matte does with it.

    `attempt` is handed the file's bytes and the folder it may use; it may raise MatteError and nothing else.
    """

    name: str
    share: float  # of all files
    samples: Callable[[Path], list[bytes]]
    damage: Callable[[Random, Sequence[bytes]], bytes]
    attempt: Callable[[bytes, Path, Random], None]


class Escape(Exception):
    """A file made Matte plan to read or write outside the folders that it may use."""


def _byte_damage(chance: Random, samples: Sequence[bytes]) -> bytes:
    return bytes_changed(chance, chance.choice(samples), samples)


# Pictures -----------------------------------------------------------------------------------------------------------


def a_picture(
    path: Path,
    names: Sequence[str],
    kind: Any = oiio.HALF,
    tile: int = 0,
    said: Mapping[str, str] | None = None,
) -> bytes:
    """A small picture of noise, written at `path` by OpenImageIO; its bytes."""
    pixels = np.random.default_rng(len(names)).random((HEIGHT, WIDTH, len(names)), dtype=np.float32)
    spec = oiio.ImageSpec(WIDTH, HEIGHT, len(names), kind)
    spec.channelnames = tuple(names)
    spec.tile_width = spec.tile_height = tile
    for name, value in (said or {}).items():
        spec.attribute(name, value)
    target: Any = oiio.ImageOutput.create(str(path))
    if not (target.open(str(path), spec) and target.write_image(pixels) and target.close()):
        raise OSError(f"{path.name} cannot be written: {target.geterror()}")
    return path.read_bytes()


def _exr_samples(folder: Path) -> list[bytes]:
    rgba = ("R", "G", "B", "A")
    made = [a_picture(folder / "a.exr", rgba, said={"compression": codec}) for codec in CODECS]
    made += [a_picture(folder / "a.exr", rgba, tile=16)]
    made += [a_picture(folder / "a.exr", ("A", "Z"), oiio.FLOAT), a_picture(folder / "a.exr", ("R", "id"), oiio.UINT32)]
    made += [_cryptomatte_sample(folder)] * 2
    shared = ROOT.parent / "shared" / "data" / "exr"  # other people's files, where they are
    files = sorted(shared.rglob("*")) if shared.is_dir() else []
    return made + [file.read_bytes() for file in files if file.is_file() and file.stat().st_size < 150_000]


def _cryptomatte_sample(folder: Path) -> bytes:
    said = cryptomatte.header_of("CryptoObject", ["hero", "prop_a", "prop_b"])
    names = [f"CryptoObject{level:02d}.{last}" for level in range(3) for last in "RGBA"]
    return a_picture(folder / "a.exr", names, oiio.FLOAT, said=said)


def _read_exr(data: bytes, folder: Path, chance: Random) -> None:
    _read_picture(data, folder, ".exr")
    path = folder / "shot.1001.exr"
    said = read_attributes(path, "cryptomatte/", 1001)
    for each in cryptomatte.cryptomattes(said):
        cryptomatte.choose(each.manifest, chance.choice(("*", "prop_*", "?" * 9)))
    if said:
        read_cryptomatte(str(path), "", "")


def _read_picture(data: bytes, folder: Path, ending: str) -> None:
    path = folder / f"shot.1001{ending}"
    path.write_bytes(data)
    for part in read_header(path, 1001).parts[:4]:
        read_pixels(path, part.channels[:16], str(part.index), 1001)
    read_sequence(str(path))


def _picture_samples(folder: Path) -> list[bytes]:
    kinds = {".png": oiio.UINT8, ".tif": oiio.UINT16, ".jpg": oiio.UINT8, ".dpx": oiio.UINT16, ".hdr": oiio.FLOAT}
    return [f"{ending:4}".encode() + a_picture(folder / f"a{ending}", "RGB", kind) for ending, kind in kinds.items()]


def _picture_damage(chance: Random, samples: Sequence[bytes]) -> bytes:
    chosen = chance.choice(samples)
    return chosen[:4] + bytes_changed(chance, chosen[4:], samples)


def _read_marked_picture(data: bytes, folder: Path, chance: Random) -> None:
    _read_picture(data[4:], folder, data[:4].decode())


# Workflows ----------------------------------------------------------------------------------------------------------


def prepare_workflows(folder: Path) -> None:
    """The pictures that the workflows read, tiny, in folders that may be read, and a link that leads out."""
    for name, guide in (("plate", "mask"), ("screen", "mask")):
        place = folder / "read" / name
        place.mkdir(parents=True, exist_ok=True)
        for number in (1001, 1002):
            a_picture(place / f"{name}.{number}.exr", "RGB")
            a_picture(place / f"{guide}.{number}.png", "Y", oiio.UINT8)
    a_picture(folder / "read" / "plate" / "background.exr", "RGB")
    secret = folder.parent / "secret"
    secret.mkdir(exist_ok=True)
    for name in ("key.exr", "key.1001.exr"):
        a_picture(secret / name, "RGB")
    for use in ("read", "write"):
        (folder / use).mkdir(exist_ok=True)
        if not (folder / use / "link").is_symlink():
            (folder / use / "link").symlink_to(secret)


def _workflow_samples(folder: Path) -> list[bytes]:
    prepare_workflows(folder)
    return [path.read_bytes() for path in sorted((ROOT / "workflows").glob("*.json"))]


def _json_damage(chance: Random, samples: Sequence[bytes]) -> bytes:
    chosen = chance.choice(samples)
    if chance.random() < 0.2:
        return bytes_changed(chance, chosen, samples)
    if chance.random() < 0.02:
        return b"[" * chance.choice((500, 100_000)) + chosen
    content = json.loads(chosen)
    nodes = [node for node in content.get("nodes", []) if node.get("widgets_values")]
    if nodes and chance.random() < 0.5:
        node = chance.choice(nodes)
        node["widgets_values"] = json_changed(chance, node["widgets_values"])
    else:
        content = json_changed(chance, content)
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _run_workflow(data: bytes, folder: Path, chance: Random) -> None:
    """Builds the workflow; one in eight is also carried out, on two tiny frames."""
    file = folder / "write" / "workflow.json"
    file.write_bytes(data)
    roots = Roots.of(read=[folder / "read"], write=[folder / "write"])
    receipts = run_workflow(file, {}, roots).receipts
    for receipt in receipts:
        outside = [path for path in files_behind(receipt) if not path.resolve().is_relative_to(folder.resolve())]
        place = Path(receipt.parameters["pattern"])
        if outside or not place.parent.resolve().is_relative_to((folder / "write").resolve()):
            raise Escape(f"{outside[:1] or place}")
    if chance.random() < 0.125:
        for receipt in receipts:
            check_output(receipt, overwrite=True)
        pulls = [(receipt, pending(receipt)[:2]) for receipt in receipts]
        for _ in Run(Plan(pulls), tools=Engine(torch.device("cpu"), find), inside=torch.inference_mode):
            pass


# Weights ------------------------------------------------------------------------------------------------------------


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))


def _weight_samples(folder: Path) -> list[bytes]:
    tensors = {name: tensor.contiguous() for name, tensor in _net().state_dict().items()}
    archive = io.BytesIO()
    torch.save(tensors, archive)
    return [save(tensors), save({name: t.half() for name, t in tensors.items()}), archive.getvalue()]


def _weight_damage(chance: Random, samples: Sequence[bytes]) -> bytes:
    chosen = chance.choice(samples)
    if chosen != samples[-1] and chance.random() < 0.6:
        return safetensors_changed(chance, chosen)
    return bytes_changed(chance, chosen, samples)


def _load_weights(data: bytes, folder: Path, chance: Random) -> None:
    path = folder / "net.safetensors"
    path.write_bytes(data)
    if data[:2] == b"PK":
        read_tensors(path, torch.device("cpu"))
    else:
        load_into(_net(), path, torch.device("cpu"))


# Cryptomatte manifests ----------------------------------------------------------------------------------------------


def _manifest_samples(folder: Path) -> list[bytes]:
    names = [f"set_{letter}/prop_{number}" for letter in "abc" for number in range(12)] + ["a" * 400, "*", "Köln"]
    return [json.dumps({name: f"{cryptomatte.id_of(name):08x}" for name in names}).encode()]


def _read_manifest(data: bytes, folder: Path, chance: Random) -> None:
    manifest = cryptomatte.parse_manifest(data.decode("utf-8", "replace"))
    asked = [*TEXTS, "set_*/prop_?", "*", "a*" * 20 + "b", ",".join(list(manifest)[:70])]
    cryptomatte.choose(manifest, chance.choice(asked))


TARGETS = (
    Target("exr", 0.4, _exr_samples, _byte_damage, _read_exr),
    Target("picture", 0.1, _picture_samples, _picture_damage, _read_marked_picture),
    Target("workflow", 0.25, _workflow_samples, _json_damage, _run_workflow),
    Target("weights", 0.15, _weight_samples, _weight_damage, _load_weights),
    Target("manifest", 0.1, _manifest_samples, _json_damage, _read_manifest),
)


def attempt(target: Target, data: bytes, folder: Path, chance: Random) -> str:
    """How the file was met: "read", or the sentence that refused it. Any other error is a fault and is raised."""
    try:
        target.attempt(data, folder, chance)
    except FrameError as error:
        if not isinstance(error.cause, MatteError):
            raise error.cause from error
        return str(error)
    except MatteError as error:
        return str(error)
    return "read"


def samples_of(target: Target) -> list[bytes]:
    """Whole files of the target's kind, made in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        return target.samples(Path(folder))
