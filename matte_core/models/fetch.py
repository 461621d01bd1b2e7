"""Weights that do not ship with Matte: brought from the public model hub, taken or converted from a file, and noted."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from matte_core.errors import ModelError
from matte_core.models.base import Convertible, MattingModel
from matte_core.models.weights import models_folder, note_of, permitted, sha256

HUB_FILE = "model.safetensors"


def fetch(chosen: MattingModel, source: Path | None = None) -> Path:
    """The file of the model's weights in the models folder, from `source` or else from its page on the model hub.

    The file must load into the network, every tensor in its place. Its sha256 is noted beside it and checked at
    every use. What was there before stays where anything fails. Raises ModelError.
    """
    card = permitted(chosen.card)
    if card.weights is None or not card.weights.repository:
        raise ModelError(f"{card.name} has no weights to fetch: it needs none, they ship, or they are converted.")
    repository = card.weights.repository

    def bring(fresh: Path) -> None:
        given = _downloaded(repository, fresh.parent) if source is None else source
        if given != fresh:
            shutil.copyfile(given, fresh)

    return _put(chosen, bring, repository)


def convert(chosen: MattingModel, source: Path) -> Path:
    """The file of the model's weights in the models folder, converted from a person's own checkpoint `source`.

    Nothing but tensors is read from it. Every tensor must find its place in the network, with its shape. Raises
    ModelError; what was there before stays.
    """
    if not isinstance(chosen, Convertible) or chosen.card.weights is None or not chosen.card.weights.convert:
        raise ModelError(f"{chosen.card.name} takes no converted weights. See: matte models")
    permitted(chosen.card)
    tensors = chosen.converted(_checkpoint(source))

    def bring(fresh: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh)

    return _put(chosen, bring, str(source.name))


def _checkpoint(source: Path) -> Mapping[str, Any]:
    """What a checkpoint holds, tensors only. Raises ModelError where it cannot be read so."""
    try:
        if source.suffix == ".safetensors":
            return dict(load_file(source))
        read = torch.load(source, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, SafetensorError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ModelError(f"{source} cannot be read as a file of tensors ({reason}). Bring the file again.") from None
    if not isinstance(read, Mapping):
        raise ModelError(f"{source} holds no tensors by name. Bring a checkpoint.")
    return read


def _put(chosen: MattingModel, bring: Callable[[Path], None], origin: str) -> Path:
    """The file that `bring` makes, in the models folder, once it loads into the network; its sha256 noted beside it."""
    card = chosen.card
    assert card.weights is not None
    folder = models_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fresh = Path(scratch) / card.weights.file
            bring(fresh)
            found = sha256(fresh)
            if card.weights.sha256 and found != card.weights.sha256:
                raise ModelError(f"{origin} is not the file that {card.name} was made with. Fetch it again.")
            chosen.load(fresh, torch.device("cpu"))
            target = folder / card.weights.file
            note = {"sha256": found, "licence": card.weights.licence, "repository": origin}
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
    """The file of weights of a page on the model hub, in `folder`. Raises ModelError where it cannot be had, and where
    it is not the file whose sha256 that page states."""
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError as error:
        raise ModelError(
            "fetching needs huggingface_hub, which is not installed. Run: pip install huggingface_hub, "
            "or bring the file yourself and use --from FILE."
        ) from error
    try:
        stated = get_hf_file_metadata(hf_hub_url(repository, HUB_FILE))
        path = Path(hf_hub_download(repository, HUB_FILE, revision=stated.commit_hash, local_dir=folder))
    except Exception as error:  # the library raises many kinds, its own and its HTTP client's
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{repository} cannot be fetched: {reason}. Check the network, or bring {HUB_FILE} from that page "
            "yourself and use --from FILE."
        ) from error
    expected, found = stated.etag or "", sha256(path)
    if len(expected) == len(found) and expected != found:  # small files have a shorter mark of another kind
        raise ModelError(
            f"what came from {repository} is not the file its page states (sha256 {found[:12]}…, stated "
            f"{expected[:12]}…). Fetch it again."
        )
    return path
