"""Every model by name: the one table to add a model to."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import cast

from matte_core.errors import ModelError
from matte_core.models.base import Card, GuideName, MattingModel
from matte_core.models.weights import there

CATALOGUE: dict[str, str] = {
    "colour-prior": "matte_core.models.colour_prior:COLOUR_PRIOR",
    "net_m-small": "matte_core.models.net_m:SHARP",
    "net_m-small-safe": "matte_core.models.net_m:SAFE",
    "net_m-small-fast": "matte_core.models.net_m:FAST",
    "dvm-small": "matte_core.models.dvm:DVM_SMALL",
    "net_t-small": "matte_core.models.net_t:NET_T_SMALL",
    "trimap-propagation-small": "matte_core.models.dvm:TRIMAP_PROPAGATION_SMALL",
    "hstsg-small": "matte_core.models.hstsg:HSTSG_SMALL",
    "flow-mask": "matte_core.models.flow_mask:FLOW_MASK",
    "closed-form-device": "matte_core.models.colour_prior:CLOSED_FORM",
    "closed-form": "matte_core.models.classic:CLOSED_FORM",
    "knn": "matte_core.models.classic:KNN",
    "learning-based": "matte_core.models.classic:LEARNING_BASED",
    "random-walk": "matte_core.models.classic:RANDOM_WALK",
    "maggie-small": "matte_core.models.maggie:SMALL_IMAGE",
    "maggie-small-video": "matte_core.models.maggie:SMALL_VIDEO",
    "portrait-small": "matte_core.models.portrait:PORTRAIT_SMALL",
    "portrait-small-budget": "matte_core.models.portrait:PORTRAIT_SMALL_BUDGET",
    "portrait": "matte_core.models.portrait:PORTRAIT",
    "maggie-image": "matte_core.models.maggie:IMAGE",
    "maggie-video": "matte_core.models.maggie:VIDEO",
}


def model(name: str) -> MattingModel:
    """The model called `name`. Raises ModelError that lists the models there are."""
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise ModelError(f"there is no model '{name}'.{meant} Choose one of: {', '.join(CATALOGUE)}.")
    module, _, attribute = CATALOGUE[name].partition(":")
    return cast(MattingModel, getattr(import_module(module), attribute))


def cards() -> list[Card]:
    """Cards of all models, in the table's order."""
    return [model(name).card for name in CATALOGUE]


def names(answers: str = "alpha", told: GuideName | None = "trimap") -> list[str]:
    """Names of the models that answer with `answers`, told by `told` (None: by nothing but the plate), whose weights
    are here."""

    def fits(card: Card) -> bool:
        return told in card.guides if told else not card.guides

    return [card.name for card in cards() if card.answers == answers and fits(card) and there(card)]
