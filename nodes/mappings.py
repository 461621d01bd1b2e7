"""The tables of nodes that ComfyUI reads."""

from __future__ import annotations

from typing import Any

import matte_core.ops  # noqa: F401  (fills OPS)
from matte_core.op import OPS

from . import host
from .comfy import node_classes
from .pictures import PICTURE_NODES
from .viewer import VIEWER_NODES

_classes, _titles = node_classes(OPS)
_others = {**PICTURE_NODES, **VIEWER_NODES}

NODE_CLASS_MAPPINGS: dict[str, type[Any]] = {**_classes, **{name: made for name, (made, _) in _others.items()}}
NODE_DISPLAY_NAME_MAPPINGS: dict[str, str] = {**_titles, **{name: title for name, (_, title) in _others.items()}}

host.register_models()
