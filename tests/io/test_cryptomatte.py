"""Cryptomatte: a renderer's instances by name, ours by the specification, ids and coverage bit for bit."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from matte_core import ops
from matte_core.errors import MatteError, SourceError, UsageError
from matte_core.frame import FrameRange, Header, Pixels, Window
from matte_core.io import cryptomatte
from matte_core.io.cryptomatte_shots import read_cryptomatte
from matte_core.memory import hold
from matte_core.shot import Shot

NAMES = ("hero", "/set/prop_03:leaf", "Фигура")


@pytest.mark.parametrize(
    ("name", "value"),
    [("Box001", 0x6D15E631), ("Plane001", 0xCE9E0B32), ("rect_[_top", 0xC1FA3F1F), ("", 0x00800000)],
)
def test_a_name_has_the_id_that_renderers_give_it(name: str, value: int) -> None:
    assert cryptomatte.id_of(name) == value


def test_the_hash_is_that_of_the_specification_and_every_id_is_an_ordinary_float() -> None:
    assert cryptomatte.murmur3("torus") - 2**32 == -241404931
    assert (cryptomatte.key_of("crypto_object"), cryptomatte.key_of("uCryptoWildcard")) == ("f834d0a", "2ae4678")
    ids = np.array([cryptomatte.id_of(f"object_{index}") for index in range(20000)], np.uint32)
    assert np.isfinite(ids.view(np.float32)).all() and (np.abs(ids.view(np.float32)) >= np.finfo(np.float32).tiny).all()


def test_a_renderer_s_cryptomatte_comes_in_as_named_instances(shared: Path, pull: Callable[..., Any]) -> None:
    shot = read_cryptomatte(str(shared / "cryptomatte" / "arnold_three_crypto.exr"), layer="crypto_object")
    assert shot.channels == ("Box001", "Plane001", "Sphere001") and shot.kind == "matte"
    pixels = pull(shot)[0].pixels
    assert pixels.sum(0).max() == pytest.approx(1, abs=1e-6)
    assert np.allclose(pixels.sum((1, 2)), [2354.61, 45241.88, 1224.74], atol=0.01)  # checked with another decoder


def test_names_with_wildcard_characters_are_taken_as_they_stand(shared: Path, pull: Callable[..., Any]) -> None:
    path = str(shared / "cryptomatte" / "cornellBox_CryptoWildcard.0001.exr")
    assert read_cryptomatte(path, "sphere_?_2").channels == ("sphere_?_2",)
    assert set(read_cryptomatte(path, "has_*,Rect_]_left").channels) == {
        "has_*_asterisk",
        "has_n_asterisk",
        "Rect_]_left",
    }
    frame = pull(read_cryptomatte(path, "rect_[_top"))[0]
    assert frame.pixels.shape == (1, 540, 626) and frame.header.data == Window(167, 0, 626, 540)


def layers(count: int, seed: int = 0) -> Pixels:
    """(count, 20, 30) whose sum is at most 1, with empty places and equal coverages."""
    drawn = np.random.default_rng(seed).random((count + 1, 20, 30)) ** 4
    drawn[:, :5] = np.round(drawn[:, :5])
    return np.asarray((drawn / np.maximum(drawn.sum(0), 1))[:count], np.float32)


def a_matte(pixels: Pixels, names: tuple[str, ...] = NAMES) -> Shot:
    window = Window(0, 0, pixels.shape[2], pixels.shape[1])
    header = Header(window, window)
    return hold(lambda place: pixels, 1, FrameRange([1001]), kind="matte", header=header, channels=names)


@pytest.mark.parametrize("compression", ["zip", "zips", "piz", "rle", "none"])
def test_what_is_written_comes_back_bit_for_bit(tmp_path: Path, pull: Callable[..., Any], compression: str) -> None:
    pixels = layers(3)
    for receipt in ops.write_cryptomatte(a_matte(pixels), str(tmp_path / "c.####.exr"), compression=compression):
        pull(receipt)
    again = read_cryptomatte(str(tmp_path / "c.####.exr"))
    assert again.channels == NAMES
    assert pull(again)[0].pixels.tobytes() == pixels.tobytes()


def test_eleven_instances_in_one_pixel_all_have_their_rank(tmp_path: Path, pull: Callable[..., Any]) -> None:
    names = tuple(f"one_{index}" for index in range(11))
    pixels = np.full((11, 4, 4), 1 / 16, np.float32)
    pull(ops.write_cryptomatte(a_matte(pixels, names), str(tmp_path / "c.####.exr"))[0])
    assert pull(read_cryptomatte(str(tmp_path / "c.####.exr")))[0].pixels.tobytes() == pixels.tobytes()


def test_the_file_says_what_the_specification_asks_for(
    tmp_path: Path, pull: Callable[..., Any], raw: Callable[[Path], Any]
) -> None:
    pixels = layers(3)
    plate = np.random.default_rng(1).uniform(-0.1, 40, (3, 20, 30)).astype(np.float16).astype(np.float32)
    window = Window(0, 0, 30, 20)
    header = Header(window, window, colour_space="Linear Rec.709 (sRGB)")
    beauty = hold(lambda place: plate, 1, FrameRange([1001]), kind="plate", header=header, channels=("R", "G", "B"))
    pull(ops.write_cryptomatte(a_matte(pixels), str(tmp_path / "c.####.exr"), beauty)[0])
    channels, stored, entries = raw(tmp_path / "c.1001.exr")
    kinds = dict(zip(channels, oiio.ImageInput.open(str(tmp_path / "c.1001.exr")).spec().channelformats, strict=True))
    levels = [name for name in channels if name.startswith("CryptoObject0")]
    assert len(levels) == 12 and all(kinds[name].basetype == oiio.FLOAT for name in levels)
    assert all(kinds[name].basetype == oiio.HALF for name in "RGB")
    assert all((stored[..., channels.index(name)] == plate[place]).all() for place, name in enumerate("RGB"))
    key = f"cryptomatte/{cryptomatte.key_of('CryptoObject')}"
    assert entries[f"{key}/name"] == "CryptoObject" and entries[f"{key}/hash"] == "MurmurHash3_32"
    assert entries[f"{key}/conversion"] == "uint32_to_float32"
    manifest = json.loads(entries[f"{key}/manifest"])
    assert list(manifest) == list(NAMES) and manifest["hero"] == f"{cryptomatte.id_of('hero'):08x}"
    coverage = [stored[..., channels.index(f"CryptoObject{rank // 2:02d}.{'GA'[rank % 2]}")] for rank in range(6)]
    assert all((more >= less).all() for more, less in itertools.pairwise(coverage))


def hashed(name: str) -> int:
    """The id of a name: MurmurHash3_x86_32 written once more, from its description, in another arithmetic."""
    data, value, mask = name.encode(), 0, 2**32 - 1
    for start in range(0, len(data), 4):
        block = data[start : start + 4]
        word = sum(byte << 8 * place for place, byte in enumerate(block)) * 0xCC9E2D51 & mask
        value ^= (word * 2**15 % 2**32 + word // 2**17) * 0x1B873593 & mask
        if len(block) == 4:
            value = ((value * 2**13 % 2**32 + value // 2**19) * 5 + 0xE6546B64) & mask
    value ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        value = (value ^ value // 2**shift) * factor & mask
    exponent = value // 2**23 % 256
    return value ^ 2**23 if exponent in (0, 255) else value


def decoded(path: Path) -> dict[str, Pixels]:
    """Coverage (H, W) by name of a file's only Cryptomatte, read as the specification says, by nothing of ours."""
    source = oiio.ImageInput.open(str(path))
    spec = source.spec()
    pixels = np.asarray(source.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT))
    source.close()
    said = {entry.name.split("/")[-1]: entry.value for entry in spec.extra_attribs if "cryptomatte/" in entry.name}
    assert said["hash"] == "MurmurHash3_32" and said["conversion"] == "uint32_to_float32"
    every = {name.rpartition(".")[0] for name in spec.channelnames}
    levels = sorted(level for level in every if re.fullmatch(re.escape(said["name"]) + r"\d\d", level))
    assert levels == [f"{said['name']}{number:02d}" for number in range(len(levels))]
    found = {}
    for name, digits in json.loads(said["manifest"]).items():
        assert int(digits, 16) == hashed(name), name
        wanted = np.frombuffer(bytes.fromhex(digits), ">f4").astype(np.float32)[0]
        coverage = np.zeros(pixels.shape[:2], np.float32)
        for level in levels:
            for identity, share in ("RG", "BA"):
                places = (spec.channelnames.index(f"{level}.{last}") for last in (identity, share))
                ids, amounts = (pixels[..., place] for place in places)
                coverage += np.where(ids == wanted, amounts, 0)
        found[name] = coverage
    return found


@pytest.mark.parametrize("count", [1, 3, 11])
def test_another_reader_finds_the_same_names_and_coverage(tmp_path: Path, pull: Callable[..., Any], count: int) -> None:
    names = (*NAMES, "a", "Großer Bär", "雪", *(f"prop_{place}" for place in range(5)))[:count]
    pixels = layers(count)
    pull(ops.write_cryptomatte(a_matte(pixels, names), str(tmp_path / "c.####.exr"))[0])
    found = decoded(tmp_path / "c.1001.exr")
    assert tuple(found) == names
    assert max(float(np.abs(found[name] - pixels[place]).max()) for place, name in enumerate(names)) < 1 / 255


def test_the_other_reader_reads_what_a_renderer_wrote(shared: Path, pull: Callable[..., Any]) -> None:
    path = shared / "cryptomatte" / "cornellBox_CryptoWildcard.0001.exr"
    found = decoded(path)
    ours = read_cryptomatte(str(path))
    pixels = pull(ours)[0].pixels
    assert set(ours.channels) == set(found) and len(found) > 5
    for place, name in enumerate(ours.channels):
        assert np.abs(found[name] - pixels[place]).max() < 1 / 255, name


def write(path: Path, picture: Callable[..., Path], attributes: dict[str, str], kind: Any = oiio.FLOAT) -> Pixels:
    """A Cryptomatte called `objects` with the instances a and b, written without our writer; returns its coverage."""
    pixels = layers(2)
    ids = [cryptomatte.id_of("a"), cryptomatte.id_of("b")]
    pairs = cryptomatte.encode(pixels, ids, 6)
    names = [f"objects{place // 4:02d}.{'RGBA'[place % 4]}" for place in range(12)]
    start = f"cryptomatte/{cryptomatte.key_of('objects')}"
    said = {f"{start}/name": "objects", f"{start}/conversion": "uint32_to_float32", f"{start}/hash": "MurmurHash3_32"}
    picture(path, pairs.transpose(1, 2, 0), names, kind, {**said, **{f"{start}/{k}": v for k, v in attributes.items()}})
    return pixels


def test_a_manifest_beside_the_file_is_read_and_nowhere_else(
    tmp_path: Path, picture: Callable[..., Path], pull: Callable[..., Any]
) -> None:
    manifest = json.dumps({name: f"{cryptomatte.id_of(name):08x}" for name in "ab"})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "names.json").write_text(manifest)
    (tmp_path / "secret.json").write_text(manifest)
    pixels = write(tmp_path / "in" / "r.1.exr", picture, {"manif_file": "names.json"})
    shot = read_cryptomatte(str(tmp_path / "in" / "r.1.exr"))
    assert shot.channels == ("a", "b") and pull(shot)[0].pixels.tobytes() == pixels.tobytes()
    for outside in ("../secret.json", str(tmp_path / "secret.json")):
        write(tmp_path / "in" / "r.1.exr", picture, {"manif_file": outside})
        assert set(read_cryptomatte(str(tmp_path / "in" / "r.1.exr")).channels).isdisjoint("ab")


@pytest.mark.parametrize("manifest", ["", "{}", "{broken", '["a"]', '{"a": "zz"}'])
def test_without_a_manifest_names_are_hashed_and_ids_are_found(
    tmp_path: Path, picture: Callable[..., Path], pull: Callable[..., Any], manifest: str
) -> None:
    pixels = write(tmp_path / "r.1.exr", picture, {"manifest": manifest})
    by_name = read_cryptomatte(str(tmp_path / "r.1.exr"), "b,a")
    assert by_name.channels == ("b", "a")
    assert pull(by_name)[0].pixels.tobytes() == pixels[::-1].tobytes()
    found = read_cryptomatte(str(tmp_path / "r.1.exr"))
    assert set(found.channels) == {f"{cryptomatte.id_of(name):08x}" for name in "ab"}


def test_an_instance_that_only_a_later_frame_names_is_there(
    tmp_path: Path, picture: Callable[..., Path], pull: Callable[..., Any]
) -> None:
    write(tmp_path / "r.1.exr", picture, {"manifest": json.dumps({"a": f"{cryptomatte.id_of('a'):08x}"})})
    write(tmp_path / "r.2.exr", picture, {"manifest": json.dumps({"b": f"{cryptomatte.id_of('b'):08x}"})})
    shot = read_cryptomatte(str(tmp_path / "r.%d.exr"))
    assert shot.channels == ("a", "b") and len(pull(shot)) == 2


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path: Path, picture: Callable[..., Path]) -> None:
    named = {"manifest": json.dumps({"hero": f"{cryptomatte.id_of('a'):08x}"})}
    write(tmp_path / "r.1.exr", picture, named)
    with pytest.raises(UsageError, match=r"no instance 'heros'. Did you mean hero\? It has: hero"):
        read_cryptomatte(str(tmp_path / "r.1.exr"), "heros")
    with pytest.raises(UsageError, match=r"no Cryptomatte 'other'. It has: objects"):
        read_cryptomatte(str(tmp_path / "r.1.exr"), layer="other")
    write(tmp_path / "half.1.exr", picture, named, oiio.HALF)
    with pytest.raises(SourceError, match=r"as half, which destroys ids. Render it as 32-bit float"):
        read_cryptomatte(str(tmp_path / "half.1.exr"))
    picture(tmp_path / "none.1.exr", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(SourceError, match="holds no Cryptomatte"):
        read_cryptomatte(str(tmp_path / "none.1.exr"))


@pytest.mark.parametrize(
    ("out", "settings", "sentence"),
    [
        ("c.####.png", {}, "png"),
        ("c.####.exr", {"compression": "dwaa"}, "change the ids of CryptoObject"),
        ("c.####.exr", {"compression": "b44"}, "would change the matte"),
    ],
)
def test_a_file_that_would_change_ids_is_refused(
    tmp_path: Path, out: str, settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(MatteError, match=sentence):
        ops.write_cryptomatte(a_matte(layers(3)), str(tmp_path / out), **settings)


def test_two_instances_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Two instances are called 'hero'"):
        ops.write_cryptomatte(a_matte(layers(2), ("hero", "hero")), str(tmp_path / "c.####.exr"))
