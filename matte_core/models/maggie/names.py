"""Names of tensors in the published weights, and in the residual blocks that networks here share."""

from __future__ import annotations

import re

_PARTS = {"first.0": "conv1", "first.1": "bn1", "second.0": "conv2", "second.1": "bn2"}
_BLOCK = r"((?:encoder\.layer(?:\d|_bottleneck)|decoder\.layer[12])\.\d+)"
_OURS = re.compile(_BLOCK + r"\.(first\.0|first\.1|second\.0|second\.1|identity\.\d)\.")
_PUBLISHED = re.compile(_BLOCK + r"\.(conv1|bn1|conv2|bn2|(?:down|up)sample\.\d)\.")
_BACK = {theirs: mine for mine, theirs in _PARTS.items()}


def published(name: str) -> str:
    """The published name of a tensor."""
    return _OURS.sub(lambda found: f"{found[1]}.{_theirs(found[1], found[2])}.", name)


def ours(name: str) -> str:
    """Our name of a published tensor; names of other layers are the same."""
    return _PUBLISHED.sub(lambda found: f"{found[1]}.{_mine(found[2])}.", name)


def _theirs(block: str, part: str) -> str:
    if not part.startswith("identity"):
        return _PARTS[part]
    # On the way up the convolution stands before the enlargement here, which is a quarter of the work.
    place = int(part[-1])
    return f"downsample.{place}" if block.startswith("encoder") else f"upsample.{place + 1}"


def _mine(part: str) -> str:
    if part in _BACK:
        return _BACK[part]
    place = int(part[-1])
    return f"identity.{place if part.startswith('down') else place - 1}"
