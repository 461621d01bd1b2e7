"""Progressive refinement: alphas at 1/4 and at full size, found only where the coarser ones are uncertain.

Source: MaGGIe, section 3.3, figure 3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.models.maggie.evidence import FINE_EVIDENCE, FineEvidence
from matte_core.models.maggie.instances import Decoded, FeedForward
from matte_core.models.maggie.regions import grown, uncertain
from matte_core.models.maggie.settings import Settings
from matte_core.models.maggie.sites import GatheredSites, Kernel, MaskedSites, coarser
from matte_core.models.maggie.trunk import Trunk

OUTSIDE = -99.0  # logit where nothing was refined; it also pulls down the outermost ring of the alpha at 1/4
QUARTER_REACH, FULL_REACH = 13, 7  # sizes of the ellipses around what is still uncertain
_SURE = 3.0  # logits that a finer size may start from
MASKED_ABOVE = 0.3  # active share of all pixels above which masked maps were quicker, on a processor core


class Refined(NamedTuple):
    """Alphas (T, N, H, W): at 1/4 (enlarged), at full size, and all put together (not while training)."""

    quarter: Tensor
    full: Tensor
    alphas: Tensor


class Refinement(nn.Module):
    """Alphas at 1/4 and full size; a mixin of the decoder, so that its layers carry the published names."""

    def build_refinement(self, settings: Settings) -> None:
        """The layers."""
        one, two = settings.widths[:2]
        wide, fine, scrambled = settings.tokens, settings.fine, settings.scrambled
        self.pulled, self.corrects = settings.pulled, settings.evidence
        told = FINE_EVIDENCE if settings.evidence else 0
        self.inst_spec_layer = FeedForward(wide)
        sides = ((3, one), (one, one), (one, two), (two, two))
        self.dummy_downscale = nn.ModuleList(Kernel(before, after, 3) for before, after in sides)  # never computed
        self.layer3 = _up(wide, wide, Kernel(wide, wide, 3))
        self.guidance_layer = nn.ModuleList(
            [
                Kernel(two + wide, two, 1, scrambled=scrambled),
                nn.BatchNorm1d(two),
                nn.LeakyReLU(0.2),
                Kernel(two, two, 3, bias=True),
            ]
        )
        self.layer3_smooth = _smooth(two + told, wide, scrambled)
        self.layer4 = _up(wide, fine, Kernel(fine, fine, 1, scrambled=scrambled))
        self.layer4_smooth = _smooth(one + fine + told, fine, scrambled)
        self.layer5 = _up(fine, fine, Kernel(fine, fine, 3))
        self.layer5_smooth = _smooth(one + fine + told, fine, scrambled)
        self.refine_OS4 = _head(wide, fine, gently=settings.evidence)
        self.refine_OS1 = _head(fine, fine, gently=settings.evidence)

    def refine(
        self, trunk: Trunk, decoded: Decoded, masks: Tensor, coarse: Tensor, region: Tensor, masked: bool | None = None
    ) -> Refined:
        """Refined alphas for `coarse` alphas (T, N, H, W) of `masks` (T, N, H, W), looked at closer in `region`.

        `masked` chooses how (see `sites`), None what is quicker.
        """
        frames, count, height, width = coarse.shape
        nothing = torch.zeros_like(coarse)
        if not region.any():
            return Refined(nothing, nothing, coarse)
        if masked is None:
            masked = not self.training and bool(region.float().mean() > MASKED_ABOVE)
        told = self._told(trunk, decoded, masks)
        quarter, full = self._logits(trunk, decoded, told, region.flatten(0, 1), count, masked)
        at_quarter, at_full = (_alpha(each).view(frames, count, height, width) for each in (quarter, full))
        if self.training:
            return Refined(at_quarter, at_full, at_full)
        return Refined(at_quarter, at_full, put_together(coarse, at_quarter, at_full, region))

    @staticmethod
    @torch.no_grad()
    def _told(trunk: Trunk, decoded: Decoded, masks: Tensor) -> FineEvidence | None:
        """What colours say, told by the masks and, more nearly, by the coarse alphas."""
        if trunk.colours is None:
            return None
        return FineEvidence(trunk.colours, masks, _alpha(decoded.logits[:, : masks.shape[1]]).float())

    def _logits(
        self,
        trunk: Trunk,
        decoded: Decoded,
        told: FineEvidence | None,
        region: Tensor,
        count: int,
        masked: bool,
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, H, W) of B = T x N maps, those at 1/4 enlarged; OUTSIDE where there is no site."""
        kind: Any = MaskedSites if masked else GatheredSites
        masks = [region]
        for _ in range(3):
            masks.append(coarser(masks[-1]))
        one, two, four, eight = (kind(mask) for mask in masks)
        owner = torch.arange(len(region), device=region.device)
        frame = owner // count
        # Every instance multiplies the shared details by its own token.
        own = decoded.details[frame] * decoded.tokens[frame, owner % count][:, :, None, None]
        values = eight.take(own, owner)
        values = self._pointwise(self.inst_spec_layer, values, masked)

        risen = self._risen(four, eight, self.layer3, values)
        skip = four.take(trunk.quarter, frame)
        first, norm, curve, second = self.guidance_layer
        guide = four.point(torch.cat([skip, risen], 1), first)
        guide = four.convolve(curve(_normed(norm, guide)), second).sigmoid()
        values = self._smoothed(four, self.layer3_smooth, _joined(four, told, 4, skip * guide))
        start = decoded.logits[:, :count].reshape(-1, 1, *decoded.logits.shape[2:]).clamp(-_SURE, _SURE)
        quarter = self._answered(four, self._headed(four, self.refine_OS4, values), _enlarged(start, 2))
        quarter = _enlarged(quarter, 4)

        values = self._risen(two, four, self.layer4, values)
        values = self._smoothed(two, self.layer4_smooth, _joined(two, told, 2, two.take(trunk.half, frame), values))
        values = self._risen(one, two, self.layer5, values)
        values = self._smoothed(one, self.layer5_smooth, _joined(one, told, 1, one.take(trunk.full, frame), values))
        return quarter, self._answered(one, self._headed(one, self.refine_OS1, values), quarter)

    def _answered(self, sites: Any, found: Tensor, start: Tensor) -> Tensor:
        """Maps (B, 1, H, W) of logits `found` at the sites; for a network that corrects, added to those to `start`
        from, which stand where there are no sites, unless what is there is to be pulled to 0."""
        if self.corrects:
            found = found + sites.take(start.to(found), torch.arange(len(start), device=start.device))
        spread: Tensor = sites.spread(found, OUTSIDE)
        if self.pulled or not self.corrects:
            return spread
        return torch.where(spread == OUTSIDE, start.to(spread), spread)

    @staticmethod
    def _pointwise(layer: nn.Module, values: Tensor, masked: bool) -> Tensor:
        changed: Tensor = layer(values.movedim(1, -1)).movedim(-1, 1) if masked else layer(values)
        return changed

    @staticmethod
    def _risen(fine: Any, coarse: Any, layers: nn.ModuleList, values: Tensor) -> Tensor:
        first, norm, curve, second = layers
        assert isinstance(second, Kernel)
        risen = curve(_normed(norm, fine.rise(values, coarse, first)))
        made: Tensor = fine.convolve(risen, second) if second.weight.shape[1] == 3 else fine.point(risen, second)
        return made

    @staticmethod
    def _smoothed(sites: Any, layers: nn.ModuleList, values: Tensor) -> Tensor:
        kernel, curve, norm = layers
        return _normed(norm, curve(sites.point(values, kernel)))

    @staticmethod
    def _headed(sites: Any, layers: nn.ModuleList, values: Tensor) -> Tensor:
        first, norm, curve, second = layers
        made: Tensor = sites.convolve(curve(_normed(norm, sites.convolve(values, first))), second)
        return made


def put_together(coarse: Tensor, quarter: Tensor, full: Tensor, region: Tensor) -> Tensor:
    """The coarse alphas, replaced by those at 1/4 and then at full size where what is there is still uncertain."""
    alphas = torch.where(grown(uncertain(coarse), QUARTER_REACH) & region, quarter, coarse)
    return torch.where(grown(uncertain(alphas), FULL_REACH) & region, full, alphas)


def _up(before: int, after: int, last: Kernel) -> nn.ModuleList:
    return nn.ModuleList([Kernel(before, after, 3), nn.BatchNorm1d(after), nn.LeakyReLU(0.2), last])


def _smooth(before: int, after: int, scrambled: bool) -> nn.ModuleList:
    kernel = Kernel(before, after, 1, bias=True, scrambled=scrambled)
    return nn.ModuleList([kernel, nn.ReLU(), nn.BatchNorm1d(after)])


def _head(before: int, inner: int, gently: bool) -> nn.ModuleList:
    last = Kernel(inner, 1, 3, bias=True)
    if gently:
        nn.init.zeros_(last.weight)
    return nn.ModuleList([Kernel(before, inner, 3), nn.BatchNorm1d(inner), nn.LeakyReLU(0.2), last])


def _joined(sites: Any, told: FineEvidence | None, factor: int, *values: Tensor) -> Tensor:
    """Features side by side, and the evidence there where the network weighs it."""
    return torch.cat([*values, told.at(sites, factor).to(values[0])] if told else values, 1)


def _enlarged(logits: Tensor, factor: int) -> Tensor:
    return functional.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)


def _normed(norm: nn.Module, values: Tensor) -> Tensor:
    """Batch norm of rows (P, C) or, in evaluation, of maps (B, C, H, W) by the same statistics."""
    if values.ndim == 2:
        rows: Tensor = norm(values)
        return rows
    assert isinstance(norm, nn.BatchNorm1d) and not norm.training, "masked maps would count empty sites"
    return functional.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _alpha(logits: Tensor) -> Tensor:
    return (logits.tanh() + 1) / 2
