"""Compares a network with outputs of the published one, on weights made by a rule from the names of its tensors.

Usage: parity maggie-image FIXTURE.npz, parity maggie-video FIXTURE.npz. A fixture holds the picture or clip, the
masks, the salt and gain of the weights' rule, and every output. Exit code 0 where every output is within 1e-3 and
its mean error below 1e-5, but for pixels that a threshold decides: at most 3 in 10,000 of an output may lie apart.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matte_core.models.maggie.net import Answer, Maggie
from matte_core.models.maggie.settings import Settings
from matte_core.models.maggie.temporal import blended, fuse

CLOSE, MEAN, FLIPPED = 1e-3, 1e-5, 3e-4
WINDOW = 3


def ruled_weights(net: Maggie, salt: str, gain: float) -> dict[str, Tensor]:
    """Tensors for every name of the network, drawn from a generator seeded with the salt and the name."""
    made: dict[str, Tensor] = {}
    for name, tensor in net.state_dict().items():
        shape = tuple(tensor.shape)
        drawn = np.random.default_rng(zlib.crc32((salt + name).encode())).standard_normal(shape)
        noise = torch.from_numpy(np.asarray(drawn, np.float32))
        if name.endswith("num_batches_tracked"):
            made[name] = torch.tensor(1)
        elif name.endswith("running_mean"):
            made[name] = 0.1 * noise
        elif name.endswith("running_var"):
            made[name] = 1 + 0.2 * noise.abs()
        elif len(shape) == 1:
            made[name] = 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise
        else:
            made[name] = noise / float(np.sqrt(np.prod(shape[1:])))
        if name.endswith("decoder_norm.weight"):
            made[name] = made[name] * gain
    for name in [each for each in made if each.endswith("weight_bar")]:
        rows = made[name].flatten(1).double()
        left = torch.linalg.eigh(rows @ rows.T)[1][:, -1]  # the leading singular vector, of the smaller side
        made[name.replace("weight_bar", "weight_u")] = left.float()
        made[name.replace("weight_bar", "weight_v")] = functional.normalize(rows.T @ left, dim=0).float()
    return made


def ruled(temporal: bool, salt: str, gain: float) -> Maggie:
    """The network with such weights, loaded strictly, in evaluation."""
    net = Maggie(Settings(temporal=temporal))
    net.load_state_dict(ruled_weights(net, salt, gain))
    return net.eval()


def outputs(temporal: bool, fixture: Any) -> Iterator[tuple[str, Tensor]]:
    """The outputs that the fixture holds, by their names in it, as this network has them."""
    net = ruled(temporal, str(fixture["salt"]), float(fixture["gain"]))
    pictures, masks = (torch.from_numpy(fixture[name])[0] for name in ("image", "mask"))
    masks = functional.interpolate(masks, size=pictures.shape[2:], mode="nearest")  # some are an eighth of the size
    if not temporal:
        answer = net(pictures, masks)
        yield from _common("", answer)
        yield "refined_masks", answer.alphas
        return
    previous = None
    for start in range(len(pictures) - WINDOW + 1):
        answer = net(pictures[start : start + WINDOW], masks[start : start + WINDOW])
        assert answer.forward is not None and answer.backward is not None
        fused = fuse(answer.alphas, answer.forward, answer.backward, previous)
        previous, window = fused[1], f"w{start}_"
        yield from _common(window, answer)
        yield f"{window}refined_masks", fused
        yield f"{window}temp_alpha", blended(answer.alphas, answer.forward, answer.backward)
        yield f"{window}diff_pred_forward", answer.forward.expand_as(fused)
        yield f"{window}diff_pred_backward", answer.backward.expand_as(fused)
        assert answer.decoded.memory is not None
        yield f"{window}mem_feat", answer.decoded.memory


def _common(window: str, answer: Answer) -> Iterator[tuple[str, Tensor]]:
    yield f"{window}alpha_os8", answer.coarse
    yield f"{window}alpha_os4", answer.quarter
    yield f"{window}alpha_os1", answer.full
    yield f"{window}detail_mask", answer.region.float()


@torch.inference_mode()
def compare(name: str, path: Path) -> list[tuple[str, float, float, float]]:
    """For every output: its name, the largest error, the mean error, the share of values beyond 1e-3."""
    fixture = np.load(path)
    rows = []
    for output, made in outputs(name == "maggie-video", fixture):
        wanted = torch.from_numpy(fixture[output])[0]
        apart = (made[:, : wanted.shape[1]] - wanted).abs()
        rows.append((output, float(apart.max()), float(apart.mean()), float((apart > CLOSE).float().mean())))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=["maggie-image", "maggie-video"])
    parser.add_argument("fixture", type=Path)
    chosen = parser.parse_args()
    good = True
    for output, most, mean, beyond in compare(chosen.name, chosen.fixture):
        good = good and mean < MEAN and beyond <= FLIPPED
        flipped = f"{beyond:.1e} of its values beyond 1e-3" if beyond else ""
        sys.stdout.write(f"{output:24s} largest {most:.1e}  mean {mean:.1e}  {flipped}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
