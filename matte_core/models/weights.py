"""Weights: found in the package or the models folder, checked by sha256, tensors only, loaded strictly."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from matte_core.errors import ModelError
from matte_core.models.base import Card, Weights

N = TypeVar("N", bound=nn.Module)

PACKAGED = Path(__file__).parent.parent / "weights"


def models_folder() -> Path:
    """Folder for weights that do not ship in the package: $MATTE_MODELS, else ~/.cache/matte/models."""
    named = os.environ.get("MATTE_MODELS")
    return Path(named) if named else Path.home() / ".cache" / "matte" / "models"


def paid_work_only() -> bool:
    """Whether $MATTE_COMMERCIAL_ONLY is set (to anything but 0): weights that may not be used for paid work are then
    neither offered nor fetched nor loaded, by no command and no node."""
    return os.environ.get("MATTE_COMMERCIAL_ONLY", "").strip() not in ("", "0")


def permitted(card: Card) -> Card:
    """The card. Raises ModelError where its weights may not be used for paid work and nothing else is allowed here."""
    if card.weights is not None and _forbidden(card.weights):
        raise ModelError(
            f"the weights of {card.name} ({card.weights.licence}) may not be used for paid work, and "
            "MATTE_COMMERCIAL_ONLY is set here. Choose another model: matte models --commercial-only"
        )
    return card


def find(card: Card, folders: Sequence[Path] = ()) -> Path | None:
    """File of the card's weights, its sha256 checked; None for a model without weights.

    It is looked for in the package, in `folders`, then in the models folder.

    Raises ModelError where the file is missing, is not the file the card means, or may not be used here.
    """
    if permitted(card).weights is None:
        return None
    assert card.weights is not None
    places = [folder / card.weights.file for folder in (PACKAGED, *folders, models_folder())]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ModelError(
            f"the weights {card.weights.file} of {card.name} are in none of {_spell(places)}. {cure(card)}"
        )
    expected = card.weights.sha256 or noted(path).get("sha256", "")
    if not expected:
        again = "convert" if card.weights.convert else "fetch"
        raise ModelError(
            f"{path.name} was put there by hand, and nothing says what it is. "
            f"Run: matte weights {again} {card.name} --from {path}"
        )
    found = sha256(path)
    if found != expected:
        raise ModelError(
            f"{path.name} is not the file that {card.name} was made with (sha256 {found[:12]}…, expected "
            f"{expected[:12]}…). Delete it and fetch it again."
        )
    return path


def cure(card: Card) -> str:
    """What to do where the card's weights are not here: one sentence."""
    if card.weights is not None and card.weights.convert:
        return f"Bring {card.weights.convert}, and run: matte weights convert {card.name} --from FILE"
    if card.weights is not None and card.weights.repository:
        return f"Run: matte weights fetch {card.name}"
    return "Install Matte again."


def there(card: Card) -> bool:
    """Whether the model can be used here: it needs no weights, or they ship with Matte or were fetched, and may be
    used for what is done here."""
    if card.weights is None:
        return True
    if _forbidden(card.weights):
        return False
    if (PACKAGED / card.weights.file).is_file():
        return True
    return (models_folder() / card.weights.file).is_file()


def usable(card: Card) -> Card:
    """The card. Raises ModelError where its weights are not here, or may not be used for what is done here."""
    if not there(permitted(card)):
        raise ModelError(f"the weights of {card.name} are not here. {cure(card)}")
    return card


def sum_of(card: Card) -> str:
    """The sha256 that the card's weights must have, as its card or what was noted at the fetch says; "" for none."""
    if card.weights is None:
        return ""
    return card.weights.sha256 or noted(models_folder() / card.weights.file).get("sha256", "")


def noted(path: Path) -> dict[str, str]:
    """What was noted beside a file of weights when it was fetched: its sha256, where from, its licence."""
    try:
        said = json.loads(note_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}


def note_of(path: Path) -> Path:
    """The file beside weights in which their fetch is noted."""
    return path.with_suffix(".json")


def sha256(path: Path) -> str:
    """sha256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def required(weights: Path | None, card: Card) -> Path:
    """The file of the card's weights. Raises ModelError where it is not here."""
    if weights is None:
        raise ModelError(f"{card.name} needs its weights. {cure(card)}")
    return weights


def load_into(net: N, path: Path, device: torch.device) -> N:
    """`net` with the safetensors of `path`, in float32, on `device`, in evaluation mode.

    Raises ModelError where a tensor is missing, unknown or of another shape.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
        net.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path.name} does not hold the weights of this network ({reason}). Fetch it again.") from None
    return net.to(device).eval()


def _forbidden(weights: Weights) -> bool:
    return not weights.commercial and paid_work_only()


def _spell(places: list[Path]) -> str:
    return ", ".join(str(place.parent) for place in places)
