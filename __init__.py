"""What ComfyUI loads. Where ComfyUI is not (pytest imports this file too), it does nothing."""

import sys

if "folder_paths" in sys.modules:  # ComfyUI's own module, loaded before any pack
    import importlib.util
    from pathlib import Path

    if importlib.util.find_spec("matte_core") is None:
        sys.path.append(str(Path(__file__).resolve().parent))  # appended: nothing of ComfyUI's may be hidden

    from .nodes.mappings import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

    WEB_DIRECTORY = "./web"

    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
