"""The instance matte decoder: tokens that stand for instances look at the features of all frames, and back.

Source: MaGGIe, section 3.3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.maggie.encoder import SLOTS
from matte_core.models.maggie.temporal import RecurrentMemory

_WIDTH, _OUT, _BLOCKS = 128, 64, 2


class Decoded(NamedTuple):
    """`logits` (T, 10, h, w) of the coarse alphas at 1/8; `details` (T, 64, h, w); `tokens` (10, 64); `attention`:
    what each of three times the tokens looked at, (10, T h w) each, only while training; `memory` (T, 128, h, w) of a
    clip's frames, on the way forward.
    """

    logits: Tensor
    details: Tensor
    tokens: Tensor
    attention: list[Tensor]
    memory: Tensor | None

    def since(self, first: int) -> Decoded:
        """The same without the frames before `first`."""
        return self._replace(logits=self.logits[first:], details=self.details[first:])


class Attention(nn.Module):
    """Queries that look at keys, added to themselves, then normed; the module's name is as in the weights."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        setattr(self, name, nn.MultiheadAttention(_WIDTH, 1, batch_first=True))
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, start: Tensor, absent: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(1, L, 128) for queries (1, L, 128) that are added to `start`, and the weights (1, L, S) while training."""
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
    """Coarse alphas and per-instance tokens of a clip (T, 128, h, w) with its masks (T, N, H, W), N <= 10."""

    def __init__(self, temporal: bool) -> None:
        super().__init__()
        self.feat_proj = Projection(_WIDTH, _WIDTH)
        self.token_feat_ca_layers = nn.ModuleList(Attention("multihead_attn") for _ in range(_BLOCKS))
        self.mlp_layers = nn.ModuleList(FeedForward(_WIDTH) for _ in range(_BLOCKS))
        self.sa_layers = nn.ModuleList(Attention("self_attn") for _ in range(_BLOCKS))
        self.feat_token_ca_layers = nn.ModuleList(Attention("multihead_attn") for _ in range(_BLOCKS))
        self.final_token_feat_ca = Attention("multihead_attn")
        self.final_mlp = Projection(_WIDTH, _OUT)
        self.decoder_norm = nn.LayerNorm(_OUT)
        self.query_feat = nn.Embedding(SLOTS, _WIDTH)
        self.id_embedding = nn.Embedding(SLOTS + 1, _WIDTH)
        self.conv = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, 3, 1, 1, bias=False),
            nn.BatchNorm2d(_WIDTH),
            nn.LeakyReLU(0.2),
            nn.Conv2d(_WIDTH, _OUT, 1, bias=False),
            nn.BatchNorm2d(_OUT),
            nn.LeakyReLU(0.2),
        )

    def forward(self, eighth: Tensor, masks: Tensor, recurrent: RecurrentMemory | None) -> Decoded:
        frames, _, height, width = eighth.shape
        place, absent = self._places(masks)
        features = self.feat_proj(eighth.permute(2, 3, 0, 1).reshape(1, -1, _WIDTH))
        tokens, token_place = self.query_feat.weight[None], self.id_embedding.weight[None, 1:]
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
        tokens = self.decoder_norm(self.final_mlp(tokens))[0]
        picture = features.view(height, width, frames, _WIDTH).permute(2, 3, 0, 1)
        details = self.conv(picture)
        remembered, judged = None, details
        if recurrent is not None:
            followed, remembered = recurrent(picture)
            judged = self.conv(followed)
        logits = torch.einsum("tchw,kc->tkhw", judged, tokens)
        return Decoded(logits, details, tokens, [each[0] for each in attention if each is not None], remembered)

    def _places(self, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding (1, h w T, 128) of the last instance at each feature, and which slots (1, 10) are absent."""
        count = masks.shape[1]
        coarse = (functional.avg_pool2d(masks, 8) > 0).to(masks)
        numbers = torch.arange(1, count + 1, device=masks.device, dtype=masks.dtype)
        last = (coarse * numbers[:, None, None]).amax(1).long()  # (T, h, w)
        place = self.id_embedding(last.permute(1, 2, 0).reshape(1, -1))
        absent = torch.ones(1, SLOTS, dtype=torch.bool, device=masks.device)
        absent[0, :count] = ~masks.flatten(2).any(2).any(0)
        return place, absent
