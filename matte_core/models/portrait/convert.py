"""The authors' checkpoint in our names: tensors renamed and joined, every one used, every shape checked.

The file is the person's own; nothing of it ships here. The names are those of the code published with
arXiv 2311.03770.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from matte_core.errors import ModelError

_NAMED = "mat_model"  # the entry of a published checkpoint that holds the networks
_SKIPPED = re.compile(r"(attn_mask|relative_position_index)|encoder\.(mean|std)$|^discriminator\.")
_END = r"(weight|bias|running_mean|running_var|num_batches_tracked)$"
_SWIN = r"^lowres_model\.encoder\.model\.swin\."
_BLOCK = _SWIN + r"layers\.(\d)\.blocks\.(\d)\."
_MERGE = _SWIN + r"layers\.(\d)\.downsample\."
_RENAMED = tuple(
    (re.compile(pattern + ("" if pattern.endswith("$") else _END)), ours)
    for pattern, ours in (
        (_SWIN + r"patch_embed\.proj\.", "coarse.encode.stem.patches.{}"),
        (_SWIN + r"patch_embed\.norm\.", "coarse.encode.stem.norm.{}"),
        (_BLOCK + r"norm(\d)\.", "coarse.encode.stages.{}.{}.norm{}.{}"),
        (_BLOCK + r"attn\.qkv\.", "coarse.encode.stages.{}.{}.attention.qkv.{}"),
        (_BLOCK + r"attn\.(?:to_)?([qkv])(?:_proj)?[._]", "coarse.encode.stages.{}.{}.attention.qkv|{}|{}"),
        (_BLOCK + r"attn\.proj\.", "coarse.encode.stages.{}.{}.attention.out.{}"),
        (_BLOCK + r"attn\.relative_position_bias_table$", "coarse.encode.stages.{}.{}.attention.bias"),
        (_BLOCK + r"mlp\.fc1\.", "coarse.encode.stages.{}.{}.perceptron.0.{}"),
        (_BLOCK + r"mlp\.fc2\.", "coarse.encode.stages.{}.{}.perceptron.2.{}"),
        (_MERGE + r"reduction\.", "coarse.encode.merges.{}.reduce.{}"),
        (_MERGE + r"norm\.", "coarse.encode.merges.{}.norm.{}"),
        (_MERGE + r"norms?[._]?([0-3])\.", "coarse.encode.merges.{}.norm|{}|{}"),
        (r"^lowres_model\.decoder\.up_blocks\.([123])\.0\.conv\.", "coarse.steps.<{}.0.{}"),
        (r"^lowres_model\.(?:decoder\.)?seg_heads\.([012])\.(?:conv\.)?", "coarse.alphas.{}.{}"),
        (r"^lowres_model\.(?:decoder\.)?trimap_heads\.([012])\.(?:conv\.)?", "coarse.trimaps.{}.{}"),
        (r"^roi_head\.encoder\.down_blocks\.(\d)\.([01])\.conv\.", "refine.@{}.{}.0.{}"),
        (r"^roi_head\.encoder\.down_blocks\.(\d)\.([01])\.norm\.", "refine.@{}.{}.1.{}"),
        (r"^roi_head\.decoder\.up_blocks\.(\d)\.([01])\.(?:deconv|conv)\.", "refine.#{}.{}.0.{}"),
        (r"^roi_head\.decoder\.up_blocks\.(\d)\.([01])\.norm\.", "refine.#{}.{}.1.{}"),
        (r"^roi_head\.enc_head\.(?:\d\.)?", "refine.attention.enter.{}"),
        (r"^roi_head\.dec_head\.(?:\d\.)?", "refine.attention.leave.{}"),
        (r"^(?:roi_head\.)?roi_matte_head\.(?:\d\.|conv\.)?", "refine.out.{}"),
        (r"^roi_head\.(?:transformer\.)?rel_pos_bias_table$", "refine.attention.bias"),
    )
)
_PLACES = {f"@{i}": name for i, name in enumerate(("fine", "middle", "deep"))} | {
    f"#{i}": name for i, name in enumerate(("to_middle", "to_fine", "last"))
}
_LAYER = re.compile(r"^roi_head\.transformer\.layers\.(\d)\.([0-3])\.(.+)$")


def converted(checkpoint: Mapping[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names and in the shapes of `expected`, out of the authors' `checkpoint`.

    Raises ModelError that names the first tensor which is missing, unknown or of another shape.
    """
    tensors = checkpoint.get(_NAMED, checkpoint)
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ModelError("the file holds no tensors by name. Give the authors' checkpoint, or a net.pt of matte train.")
    if set(tensors) == set(expected):
        return _checked(dict(tensors), expected)
    found: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    layers: dict[str, dict[str, dict[str, Tensor]]] = {}
    for name, tensor in tensors.items():
        if _SKIPPED.search(name):
            continue
        layer = _LAYER.match(name)
        if layer:
            number, place, rest = layer.groups()
            layers.setdefault(number, {}).setdefault(place, {})[rest] = tensor
            continue
        ours = _ours(name)
        target, _, place = ours.partition("|")
        if place:
            which, _, end = place.partition("|")
            parts.setdefault(f"{target}.{end}", {})[which] = tensor
        else:
            found[ours] = _plain(name, tensor)
    found |= {name: torch.cat([each[which] for which in _order(each)]) for name, each in parts.items()}
    for number, places in layers.items():
        found |= {f"refine.attention.layers.{number}.{name}": t for name, t in _layer(places).items()}
    return _checked(found, expected)


def _ours(name: str) -> str:
    for pattern, ours in _RENAMED:
        match = pattern.match(name)
        if match:
            made = ours.format(*match.groups())
            for place, meant in _PLACES.items():
                made = made.replace(place, meant)
            return re.sub(r"<(\d)", lambda step: str(int(step[1]) - 1), made)
    raise ModelError(f"'{name}' is no tensor of this network. Give the checkpoint of Lightweight Portrait Matting.")


def _plain(name: str, tensor: Tensor) -> Tensor:
    """Weights of a transposed convolution of one pixel, as those of a plain one; any other tensor as it is."""
    turned = ".deconv." in name or (name.startswith("roi_matte_head") and tensor.shape[:1] != (1,))
    return tensor.transpose(0, 1).contiguous() if turned and tensor.shape[2:] == (1, 1) else tensor


def _order(parts: Mapping[str, Tensor]) -> list[str]:
    return ["q", "k", "v"] if set(parts) == set("qkv") else sorted(parts)


def _layer(places: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """A layer of attention: its four parts are told apart by their shapes, both norms by their order."""
    found: dict[str, Tensor] = {}
    norms = 0
    for place in sorted(places):
        tensors = places[place]
        matrices = {name: tensor for name, tensor in sorted(tensors.items()) if tensor.ndim == 2}
        tall = [name for name, tensor in matrices.items() if tensor.shape[0] == 3 * tensor.shape[1]]
        if not matrices:
            norms += 1
            found |= {f"norm{norms}.{name.rpartition('.')[2]}": tensor for name, tensor in tensors.items()}
            continue
        names = ["out"] if tall else ["perceptron.0", "perceptron.2"]
        if tall:
            found["qkv.weight"] = matrices.pop(tall[0])
        for ours, name in zip(names, matrices, strict=False):
            stem = name.rpartition(".")[0]
            found[f"{ours}.weight"] = matrices[name]
            found |= {f"{ours}.bias": tensors[each] for each in tensors if each == f"{stem}.bias"}
    return found


def _checked(found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`found` in the order of `expected`, none left over."""
    made = {}
    for name, meant in expected.items():
        if name not in found:
            raise ModelError(f"the file has nothing for '{name}'. It is of another network, or not whole.")
        tensor = found.pop(name)
        if tensor.shape != meant.shape:
            raise ModelError(
                f"'{name}' is {tuple(tensor.shape)} in the file and {tuple(meant.shape)} in this network. "
                "Give the checkpoint of Lightweight Portrait Matting."
            )
        made[name] = tensor.to(meant.dtype)
    if found:
        raise ModelError(f"'{next(iter(found))}' of the file is not in this network. Give the right checkpoint.")
    return made
