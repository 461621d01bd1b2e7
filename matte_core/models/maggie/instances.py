"""The instance matte decoder: tokens that stand for instances look at the features of all frames, and back.

Source: MaGGIe, section 3.3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.maggie.evidence import Weighing
from matte_core.models.maggie.settings import SLOTS, Settings
from matte_core.models.maggie.temporal import RecurrentMemory
from matte_core.models.maggie.trunk import Looked

_BLOCKS = 2


class Decoded(NamedTuple):
    """`logits` (T, 10, h, w) of the coarse alphas at 1/8; `details` and `tokens` as they were looked at; `memory`
    (T, 128, h, w) of a clip's frames, on the way forward, None for a picture.
    """

    logits: Tensor
    details: Tensor
    tokens: Tensor
    memory: Tensor | None

    def frame(self, place: int) -> Decoded:
        """The same of one frame, without the memory."""
        here = slice(place, place + 1)
        return Decoded(self.logits[here], self.details[here], self.tokens[here], None)


class Attention(nn.Module):
    """Queries that look at keys, added to themselves, then normed; the module's name is as in the weights."""

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self.name = name
        setattr(self, name, nn.MultiheadAttention(width, 1, batch_first=True))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, start: Tensor, absent: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(N, L, C) for queries (N, L, C) that are added to `start`, and the weights (N, L, S) while training."""
        inner = getattr(self, self.name)
        looked, weights = inner(query, key, value, key_padding_mask=absent, need_weights=self.training)
        return self.norm(start + looked), weights


class FeedForward(nn.Module):
    """Two linear layers added to their input, then normed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: Tensor) -> Tensor:
        changed: Tensor = self.norm(values + self.linear2(functional.relu(self.linear1(values))))
        return changed


class Projection(nn.Module):
    """Linear layers, one here, under the name `layers`."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(before, after)])

    def forward(self, values: Tensor) -> Tensor:
        projected: Tensor = self.layers[0](values)
        return projected


class InstanceDecoder(nn.Module):
    """Coarse alphas and per-instance tokens of clips (T, C, h, w) with their masks (T, N, H, W), N <= 10."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        width, out = settings.widths[2], settings.tokens
        self.feat_proj = Projection(width, width)
        self.token_feat_ca_layers = nn.ModuleList(Attention("multihead_attn", width) for _ in range(_BLOCKS))
        self.mlp_layers = nn.ModuleList(FeedForward(width) for _ in range(_BLOCKS))
        self.sa_layers = nn.ModuleList(Attention("self_attn", width) for _ in range(_BLOCKS))
        self.feat_token_ca_layers = nn.ModuleList(Attention("multihead_attn", width) for _ in range(_BLOCKS))
        self.final_token_feat_ca = Attention("multihead_attn", width)
        self.final_mlp = Projection(width, out)
        self.decoder_norm = nn.LayerNorm(out)
        self.query_feat = nn.Embedding(SLOTS, width)
        self.id_embedding = nn.Embedding(SLOTS + 1, width)
        self.conv = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.LeakyReLU(0.2),
        )
        self.weighing = Weighing(out) if settings.evidence else None
        # What is remembered is added, at first nothing of it, where training goes on from a network for pictures.
        added = settings.temporal and settings.evidence
        self.remembered = nn.Parameter(torch.zeros(width, 1, 1)) if added else None

    @property
    def looks_alone(self) -> bool:
        """Whether tokens look at one frame at a time, so that what comes of it is the frame's in any clip.

        The published network's tokens look at all frames of a clip at once. Those of one that began with pictures look
        at one each: what ties its frames is the memory, and that their colours are judged together (`steadied`).
        """
        return self.remembered is not None

    def look(
        self,
        eighth: Tensor,
        masks: Tensor,
        recurrent: RecurrentMemory | None,
        clips: int = 1,
        order: Tensor | None = None,
    ) -> Looked:
        """What tokens and features make of each other; the frames belong to as many `clips`, and `order` (10,) says
        which slot each instance takes."""
        whole, clips = clips, len(eighth) if self.looks_alone else clips
        width, height, across = eighth.shape[1:]
        order = torch.arange(SLOTS, device=masks.device) if order is None else order
        place, absent = self._places(masks, clips, order)
        features = self.feat_proj(_joint(eighth, clips))
        tokens = self.query_feat.weight[order].expand(clips, -1, -1)
        token_place = self.id_embedding.weight[1:][order].expand(clips, -1, -1)
        attention = []
        for index in range(_BLOCKS):
            looked = self.token_feat_ca_layers[index]
            tokens, seen = looked(tokens + token_place, features + place, features, tokens)
            attention.append(seen)
            tokens = self.mlp_layers[index](tokens)
            placed = tokens + token_place
            tokens, _ = self.sa_layers[index](placed, placed, tokens, tokens, absent)
            back = self.feat_token_ca_layers[index]
            features, _ = back(features + place, tokens + token_place, tokens, features, absent)
        tokens, seen = self.final_token_feat_ca(tokens + token_place, features + place, features, tokens)
        attention.append(seen)
        tokens = self.decoder_norm(self.final_mlp(tokens)).repeat_interleave(len(eighth) // clips, 0)
        picture = features.view(clips, height, across, -1, width).permute(0, 3, 4, 1, 2).flatten(0, 1)
        told = None if recurrent is None else recurrent.told(picture)
        attended = tuple(_of_clips(each, whole) for each in attention if each is not None)
        return Looked(picture, self.conv(picture), told, tokens, attended)

    def judge(
        self,
        looked: Looked,
        masks: Tensor,
        evidence: Tensor | None,
        recurrent: RecurrentMemory | None,
        clips: int = 1,
        first: int = 0,
    ) -> Decoded:
        """Coarse logits; of a single clip only those of its frames from `first` on, with their masks (T, N, H, W), and
        their `evidence` (T, N, E, h, w) for networks that weigh it."""
        features, details, tokens = (each[first:] for each in (looked.features, looked.details, looked.tokens))
        judged, states = details, None
        if recurrent is not None:
            assert looked.told is not None
            followed = [recurrent.remembered(clip, first) for clip in looked.told.chunk(clips)]
            memory, states = (torch.cat(each) for each in zip(*followed, strict=True))
            judged = self.conv(memory if self.remembered is None else features + self.remembered * memory)
        logits = torch.einsum("tchw,tkc->tkhw", judged, tokens)
        if self.weighing is not None:
            weighed = self.weighing(judged, logits[:, : masks.shape[1]], evidence)
            logits = functional.pad(weighed, _up_to_slots(masks))
        return Decoded(logits, details, tokens, states)

    def _places(self, masks: Tensor, clips: int, order: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding (clips, h w T, C) of each feature's last instance, and which slots (clips, 10) are absent."""
        count = masks.shape[1]
        coarse = (functional.avg_pool2d(masks, 8) > 0).to(masks)
        numbers = torch.arange(1, count + 1, device=masks.device, dtype=masks.dtype)
        last = (coarse * numbers[:, None, None]).amax(1, keepdim=True).long()  # (T, 1, h, w)
        slots = torch.cat([order.new_zeros(1), order + 1])
        place = self.id_embedding(_joint(slots[last], clips)[..., 0])
        absent = torch.ones(clips, SLOTS, dtype=torch.bool, device=masks.device)
        absent[:, :count] = ~masks.flatten(2).any(2).view(clips, -1, count).any(1)
        absent &= ~absent.all(1, keepdim=True)  # a frame of a clip without any instance has no keys to attend to
        return place, absent


def _joint(frames: Tensor, clips: int) -> Tensor:
    """Frames (T, C, h, w) of some clips as one sequence (clips, h w T, C) for each, a place's frames side by side."""
    return frames.view(clips, -1, *frames.shape[1:]).permute(0, 3, 4, 1, 2).flatten(1, 3)


def _of_clips(attention: Tensor, clips: int) -> Tensor:
    """What the tokens of each frame looked at, (T, 10, h w), as what those of a clip did, (clips, 10, h w T); that of
    whole clips as it is."""
    if len(attention) == clips:
        return attention
    frames = attention.view(clips, -1, *attention.shape[1:])
    return frames.permute(0, 2, 3, 1).flatten(2) / frames.shape[1]


def _up_to_slots(masks: Tensor) -> tuple[int, ...]:
    return (0, 0, 0, 0, 0, SLOTS - masks.shape[1])
