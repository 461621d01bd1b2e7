"""Weights that do not ship with Matte: brought from the public model hub, or taken from a file, and noted."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import torch

from matte_core.errors import ModelError
from matte_core.models.base import MattingModel
from matte_core.models.weights import models_folder, note_of, sha256

HUB_FILE = "model.safetensors"


def fetch(chosen: MattingModel, source: Path | None = None) -> Path:
    """The file of the model's weights in the models folder, from `source` or else from its page on the model hub.

    The file must load into the network, every tensor in its place. Its sha256 is noted beside it and checked at
    every use. What was there before stays where anything fails. Raises ModelError.
    """
    card = chosen.card
    if card.weights is None or not card.weights.repository:
        raise ModelError(f"{card.name} has no weights to fetch: it needs none, or they ship with Matte.")
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            given = _downloaded(card.weights.repository, Path(scratch)) if source is None else source
            fresh = Path(scratch) / card.weights.file
            if given != fresh:
                shutil.copyfile(given, fresh)
            found = sha256(fresh)
            if card.weights.sha256 and found != card.weights.sha256:
                raise ModelError(f"{given.name} is not the file that {card.name} was made with. Fetch it again.")
            chosen.load(fresh, torch.device("cpu"))
            target = folder / card.weights.file
            note = {"sha256": found, "licence": card.weights.licence, "repository": card.weights.repository}
            beside = Path(scratch) / "note.json"
            beside.write_text(json.dumps(note, indent=1), encoding="utf-8")
            fresh.replace(target)
            beside.replace(note_of(target))
    except OSError as error:
        raise ModelError(
            f"{error.filename or folder} cannot be read or written: {error.strerror}. Check it."
        ) from error
    return target


def _downloaded(repository: str, folder: Path) -> Path:
    """The file of weights of a page on the model hub. Raises ModelError where it cannot be had."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ModelError(
            "fetching needs huggingface_hub, which is not installed. Run: pip install huggingface_hub, "
            "or bring the file yourself and use --from FILE."
        ) from error
    try:
        return Path(hf_hub_download(repository, HUB_FILE, local_dir=folder))
    except Exception as error:  # the library raises many kinds, its own and its HTTP client's
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{repository} cannot be fetched: {reason}. Check the network, or bring {HUB_FILE} from that page "
            "yourself and use --from FILE."
        ) from error
