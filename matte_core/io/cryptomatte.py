"""The Cryptomatte format: names as 32-bit ids, ids as floats, pixels as ranked pairs of id and coverage.

Source: Cryptomatte specification 1.2.0 (Friedman and Jones, Psyop). The hash is MurmurHash3 x86 32 (Appleby,
public domain).
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matte_core.errors import UsageError
from matte_core.frame import Json, Pixels

EMPTY = 0  # the id of "nothing here"
RANKS = 6  # pairs per pixel that readers expect at least: three RGBA layers
MOST_RANKS = 16
MOST_INSTANCES = 64  # each is a whole layer of every frame

_ENTRY = re.compile(r"cryptomatte/([^/]+)/(name|hash|conversion|manifest|manif_file)")
_HEX = re.compile(r"[0-9a-fA-F]{8}")
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Cryptomatte:
    """One Cryptomatte of a file: its name (`crypto_object`), and the ids by the names that its manifest has."""

    name: str
    manifest: Mapping[str, int]
    manifest_file: str = ""


def murmur3(text: str) -> int:
    """The 32-bit MurmurHash3 (x86, seed 0) of the text's UTF-8 bytes."""
    data, value = text.encode("utf-8"), 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        value ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        value = (_turned(value, 13) * 5 + 0xE6546B64) & _WORD
    value ^= _scrambled(int.from_bytes(data[whole:], "little")) ^ len(data)
    value = ((value ^ value >> 16) * 0x85EBCA6B) & _WORD
    value = ((value ^ value >> 13) * 0xC2B2AE35) & _WORD
    return value ^ value >> 16


def _scrambled(word: int) -> int:
    return (_turned(word * 0xCC9E2D51 & _WORD, 15) * 0x1B873593) & _WORD


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD


def id_of(name: str) -> int:
    """The id of a name: its hash, with bit 23 flipped where the float would be no ordinary number."""
    value = murmur3(name)
    return value ^ 1 << 23 if value >> 23 & 0xFF in (0, 0xFF) else value


def key_of(type_name: str) -> str:
    """The seven hex digits under which a file's header speaks of the Cryptomatte `type_name`."""
    return f"{id_of(type_name):08x}"[:7]


def header_of(type_name: str, names: Sequence[str]) -> dict[str, str]:
    """The header entries of a Cryptomatte of `names`. Raises UsageError where two names have one id."""
    ids = {name: id_of(name) for name in names}
    owners: dict[int, str] = {}
    for name, value in ids.items():
        if owners.setdefault(value, name) != name:
            raise UsageError(f"'{owners[value]}' and '{name}' have the same Cryptomatte id. Rename one of them.")
    if len(ids) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise UsageError(f"Two instances are called '{twice}'. Name them apart.")
    manifest = {name: f"{value:08x}" for name, value in ids.items()}
    start = f"cryptomatte/{key_of(type_name)}"
    return {
        f"{start}/name": type_name,
        f"{start}/hash": "MurmurHash3_32",
        f"{start}/conversion": "uint32_to_float32",
        f"{start}/manifest": json.dumps(manifest, ensure_ascii=False, separators=(",", ":")),
    }


def cryptomattes(attributes: Mapping[str, Json]) -> list[Cryptomatte]:
    """The Cryptomattes that a header's entries speak of. A manifest that cannot be read is taken as empty."""
    groups: dict[str, dict[str, str]] = {}
    for name, value in attributes.items():
        found = _ENTRY.fullmatch(name)
        if found:
            groups.setdefault(found[1], {})[found[2]] = str(value)
    return [
        Cryptomatte(said["name"], parse_manifest(said.get("manifest", "")), said.get("manif_file", ""))
        for said in groups.values()
        if said.get("name") and said.get("conversion", "uint32_to_float32") == "uint32_to_float32"
    ]


def parse_manifest(text: str) -> dict[str, int]:
    """Ids by name of a manifest's JSON; empty where it is none."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {name: int(value, 16) for name, value in entries.items() if isinstance(value, str) and _HEX.fullmatch(value)}


def rank_channels(type_name: str, channels: Sequence[str]) -> list[str]:
    """The channels among `channels` that hold the pairs of `type_name`: id, coverage, id, coverage, by rank."""
    spelled = [("R", "r", "red"), ("G", "g", "green"), ("B", "b", "blue"), ("A", "a", "alpha")]
    found: list[str] = []
    for level in range(100):
        for spellings in spelled:
            names = [name for last in spellings if (name := f"{type_name}{level:02d}.{last}") in channels]
            if not names:
                return found[: len(found) // 2 * 2]
            found.append(names[0])
    return found


def choose(manifest: Mapping[str, int], text: str) -> dict[str, int]:
    """Ids by name of the instances that `text` means: names with commas between, * and ? as wildcards, "" for all.

    A name that itself has such a character is taken as it stands where the manifest has it. Without a manifest a
    name is hashed, and eight hex digits are an id. Raises UsageError for a name that is not there, or too many.
    """
    if text in manifest:
        return {text: manifest[text]}
    chosen: dict[str, int] = {}
    for piece in [each.strip() for each in text.split(",") if each.strip()] or ["*"]:
        chosen.update(_matching(manifest, piece))
    if len(chosen) > MOST_INSTANCES:
        raise UsageError(
            f"{len(chosen)} instances were asked for, more than {MOST_INSTANCES}: {', '.join(list(chosen)[:5])} … "
            "Name the ones you need."
        )
    return chosen


def _matching(manifest: Mapping[str, int], piece: str) -> dict[str, int]:
    if piece in manifest:
        return {piece: manifest[piece]}
    parts = re.split(r"\*+", piece)
    patterns = [re.compile(re.escape(part).replace(r"\?", "."), re.DOTALL) for part in parts]
    ending = len(parts[-1])
    found = {name: value for name, value in manifest.items() if _fits(name, patterns, ending)}
    if found:
        return found
    if manifest or set(piece) & set("*?"):
        alike = [name for name in itertools.islice(manifest, 5000) if len(name) < 100]  # comparing is slow
        near = difflib.get_close_matches(piece, alike, 1) if len(piece) < 100 else []
        there = ", ".join(name[:100] for name in list(manifest)[:8]) + (" …" if len(manifest) > 8 else "") or "no names"
        meant = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"The Cryptomatte has no instance '{piece[:100]}'.{meant} It has: {there}.")
    return {piece: int(piece, 16) if _HEX.fullmatch(piece) else id_of(piece)}


def _fits(name: str, patterns: Sequence[re.Pattern[str]], ending: int) -> bool:
    """Whether the name is `patterns` in order with anything between them; the last is `ending` letters long.

    Each is of fixed length and taken where it is first found, so that no wildcard makes this slow: one expression
    with many * would try every way to share a name out between them.
    """
    if len(patterns) == 1:
        return patterns[0].fullmatch(name) is not None
    first, *between, last = patterns
    found = first.match(name)
    for pattern in between:
        found = pattern.search(name, found.end()) if found else None
    return found is not None and len(name) - ending >= found.end() and last.match(name, len(name) - ending) is not None


def decode(ranked: Pixels, ids: Sequence[int]) -> Pixels:
    """Coverage (K, H, W) in 0..1 of each of `ids`, from pairs (2 x ranks, H, W) of id (as float bits) and coverage."""
    bits = np.ascontiguousarray(ranked[0::2]).view(np.uint32)
    covered = np.zeros((len(ids), *ranked.shape[1:]), np.float32)
    for rank, coverage in zip(bits, ranked[1::2], strict=True):
        used = rank[coverage != 0]
        for place, value in enumerate(ids):
            if (used == value).any():
                covered[place] += np.where(rank == value, coverage, 0)
    return np.clip(covered, 0, 1, out=covered)


def ids_in(ranked: Pixels) -> list[int]:
    """Ids that cover anything in pairs (2 x ranks, H, W), the largest first."""
    bits = np.ascontiguousarray(ranked[0::2]).view(np.uint32)
    coverage = ranked[1::2]
    values, place = np.unique(bits[coverage > 0], return_inverse=True)
    area = np.bincount(place, coverage[coverage > 0].astype(np.float64), len(values))
    return [int(values[index]) for index in np.argsort(-area, kind="stable") if values[index] != EMPTY]


def ranks_for(count: int) -> int:
    """Pairs per pixel for `count` instances: all of them where they are few, an even number, RANKS at least."""
    return min(max(RANKS, count + count % 2), MOST_RANKS)


def encode(coverage: Pixels, ids: Sequence[int], ranks: int) -> Pixels:
    """Pairs (2 x ranks, H, W) of id (as float bits) and coverage, the most covered first, from (K, H, W).

    Where more than `ranks` instances meet in one pixel, the least covered are left out.
    """
    order = np.argsort(-coverage, axis=0, kind="stable")[:ranks]
    covered = np.take_along_axis(coverage, order, axis=0)
    values: NDArray[np.uint32] = np.asarray(ids, np.uint32)[order]
    values = np.where(covered > 0, values, np.uint32(EMPTY))
    pairs = np.zeros((2 * ranks, *coverage.shape[1:]), np.float32)
    pairs[0 : 2 * len(order) : 2] = values.view(np.float32)
    pairs[1 : 2 * len(order) : 2] = np.where(covered > 0, covered, 0)
    return pairs
