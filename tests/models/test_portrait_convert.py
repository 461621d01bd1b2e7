"""A checkpoint of others becomes weights of ours: every tensor finds its place, and nothing else is let in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from matte_core.errors import ModelError
from matte_core.models.catalogue import model
from matte_core.models.fetch import convert
from matte_core.models.portrait.model import PORTRAIT, PortraitModel
from matte_core.models.portrait.net import Portrait, Settings
from matte_core.models.portrait.refine import Refinement
from matte_core.models.weights import cure, find, there

SETTINGS = Settings(
    patch=8, dims=(4, 8, 8, 8), depths=(1, 2, 1, 1), heads=(1, 2, 2, 2), decoder=(8, 8, 8),
    refinement=Refinement(4, 8, 8, 2),
)  # fmt: skip
TINY = PortraitModel(dataclasses.replace(PORTRAIT.card, multiple=64), SETTINGS)
Tensors = dict[str, Tensor]


@pytest.fixture
def ours() -> Tensors:
    torch.manual_seed(5)
    net = Portrait(SETTINGS)
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn_like(tensor))
    return dict(net.state_dict())


def theirs(ours: Tensors) -> Tensors:
    """The same network as the published code names and lays it out."""
    found: Tensors = {"lowres_model.encoder.mean": torch.zeros(3), "lowres_model.encoder.std": torch.ones(3)}
    swin = "lowres_model.encoder.model.swin."
    found[f"{swin}layers.1.blocks.1.attn_mask"] = torch.zeros(1)
    for name, tensor in ours.items():
        part, end = name.split("."), name.rpartition(".")[2]
        if name.startswith("coarse.encode.stem"):
            found[f"{swin}patch_embed.{'proj' if part[3] == 'patches' else 'norm'}.{end}"] = tensor
        elif name.startswith("coarse.encode.merges") and "norm" in name:
            for place, chunk in enumerate(tensor.chunk(4)):
                found[f"{swin}layers.{part[3]}.downsample.norm.{place}.{end}"] = chunk
        elif name.startswith("coarse.encode.merges"):
            found[f"{swin}layers.{part[3]}.downsample.reduction.{end}"] = tensor
        elif name.startswith("coarse.encode.stages"):
            block = f"{swin}layers.{part[3]}.blocks.{part[4]}."
            if "qkv" in name:
                for letter, chunk in zip("qkv", tensor.chunk(3), strict=True):
                    found[f"{block}attn.{letter}.{end}"] = chunk
            else:
                rest = ".".join(part[5:])
                for mine, other in (
                    ("attention.out", "attn.proj"), ("attention.bias", "attn.relative_position_bias_table"),
                    ("perceptron.0", "mlp.fc1"), ("perceptron.2", "mlp.fc2"),
                ):  # fmt: skip
                    rest = rest.replace(mine, other)
                found[block + rest] = tensor
        elif name.startswith("coarse.steps"):
            found[f"lowres_model.decoder.up_blocks.{int(part[2]) + 1}.0.conv.{end}"] = tensor
        elif name.startswith("coarse."):
            heads = "seg_heads" if part[1] == "alphas" else "trimap_heads"
            found[f"lowres_model.{heads}.{part[2]}.{end}"] = tensor
        else:
            found |= refinement(name, tensor)
    return found


def refinement(name: str, tensor: Tensor) -> Tensors:
    part, end = name.split("."), name.rpartition(".")[2]
    down, up = ("fine", "middle", "deep"), ("to_middle", "to_fine", "last")
    if part[1] in down:
        layer = "conv" if part[3] == "0" else "norm"
        return {f"roi_head.encoder.down_blocks.{down.index(part[1])}.{part[2]}.{layer}.{end}": tensor}
    if part[1] in up:
        layer = "deconv" if part[3] == "0" else "norm"
        if layer == "deconv" and tensor.shape[2:] == (1, 1):
            tensor = tensor.transpose(0, 1)
        return {f"roi_head.decoder.up_blocks.{up.index(part[1])}.{part[2]}.{layer}.{end}": tensor}
    if part[1] == "out":
        return {f"roi_matte_head.{end}": tensor}
    if name == "refine.attention.bias":
        return {"roi_head.rel_pos_bias_table": tensor}
    if part[2] in ("enter", "leave"):
        return {f"roi_head.{'enc_head' if part[2] == 'enter' else 'dec_head'}.{end}": tensor}
    place = {"norm1": "0", "qkv": "1.to_qkv", "out": "1.to_out.0", "norm2": "2"}.get(
        part[4], f"3.net.{part[5]}" if part[4] == "perceptron" else ""
    )
    return {f"roi_head.transformer.layers.{part[3]}.{place}.{end}": tensor}


def test_every_tensor_of_the_authors_checkpoint_finds_its_place(ours: Tensors) -> None:
    whole = {"mat_model": theirs(ours), "discriminator": {}, "global_step": 500_000}
    made = TINY.converted(whole)
    assert list(made) == list(ours)
    assert [name for name in ours if not torch.equal(made[name], ours[name])] == []


def test_a_file_is_converted_into_the_models_folder_and_used(
    ours: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_MODELS", str(tmp_path / "models"))
    assert not there(TINY.card) and "matte weights convert portrait" in cure(TINY.card)
    torch.save({"mat_model": theirs(ours), "discriminator": None, "global_step": 1}, tmp_path / "theirs.pth")
    path = convert(TINY, tmp_path / "theirs.pth")
    assert there(TINY.card) and find(TINY.card) == path
    assert set(load_file(path)) == set(ours)
    net = TINY.load(path, torch.device("cpu"))
    alpha = TINY.step(net, torch.rand(1, 3, 64, 64), {}, None)[0]["alpha"]
    assert alpha.shape == (1, 1, 64, 64)
    torch.save(ours, tmp_path / "net.pt")
    assert find(TINY.card) == convert(TINY, tmp_path / "net.pt")  # a run of matte train


def test_another_model_s_checkpoint_is_refused_and_what_was_there_stays(
    ours: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATTE_MODELS", str(tmp_path / "models"))
    torch.save(ours, tmp_path / "net.pt")
    kept = convert(TINY, tmp_path / "net.pt").read_bytes()
    good = theirs(ours)
    short = {name: tensor for name, tensor in good.items() if "seg_heads.1.bias" not in name}
    wrong = {**good, "roi_matte_head.bias": torch.zeros(2)}
    cases = {
        "no tensor of this network": {**good, "backbone.conv1.weight": torch.zeros(1)},
        "nothing for 'coarse.alphas.1.bias'": short,
        r"\(2,\) in the file and \(1,\)": wrong,
        "no tensors by name": {"mat_model": 3},
    }
    for said, tensors in cases.items():
        torch.save(tensors, tmp_path / "wrong.pth")
        with pytest.raises(ModelError, match=said):
            convert(TINY, tmp_path / "wrong.pth")
    (tmp_path / "wrong.pth").write_bytes(b"no file of tensors")
    with pytest.raises(ModelError, match="cannot be read as a file of tensors"):
        convert(TINY, tmp_path / "wrong.pth")
    assert (tmp_path / "models" / "portrait.safetensors").read_bytes() == kept


class Runs:
    """What must never be unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("run.txt"),)  # type: ignore[return-value]


def test_a_file_that_would_run_code_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"mat_model": Runs()}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="cannot be read as a file of tensors"):
        convert(TINY, tmp_path / "evil.pth")
    assert not (tmp_path / "run.txt").exists()


def test_models_that_take_no_file_of_others_say_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="net_m-small takes no converted weights"):
        convert(model("net_m-small"), tmp_path / "any.pth")
