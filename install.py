"""Run by ComfyUI's managers after installing or updating the pack; safe to run again and again, offline too.

Checks that what Matte needs can be imported and makes the models folder. It installs and downloads nothing.
With names of models it checks that their weights are there and whole: python install.py NAME …
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PACK = Path(__file__).absolute().parent  # not resolved: the pack may be a link in custom_nodes
# What is imported, and what it is called where it is installed from.
NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "cv2": "opencv-python",
    "OpenImageIO": "OpenImageIO",
    "PyOpenColorIO": "opencolorio",
    "pymatting": "pymatting",
    "safetensors": "safetensors",
}
log = logging.getLogger("matte.install")


def missing() -> list[str]:
    """Names, as one installs them, of the libraries that are not there."""
    return [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]


def models_folder() -> Path | None:
    """ComfyUI's models/matte beside custom_nodes; None where the pack does not lie in a ComfyUI."""
    base = os.environ.get("COMFYUI_PATH")
    root = Path(base) if base else PACK.parent.parent
    return root / "models" / "matte" if (root / "folder_paths.py").is_file() else None


def check_weights(names: Sequence[str], folders: Sequence[Path]) -> int:
    """0 where the named models have their weights, sha256 right; else the exit code of the first failure."""
    sys.path.append(str(PACK))
    from matte_core.errors import MatteError
    from matte_core.models.catalogue import model
    from matte_core.models.weights import find

    for name in names:
        try:
            log.info("Matte: weights of %s: %s.", name, find(model(name).card, folders) or "not needed")
        except MatteError as error:
            log.error("Matte: %s", error)
            return error.exit_code
    return 0


def main(names: Sequence[str]) -> int:
    """Exit code: 0 where Matte can run."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lacking = missing()
    if lacking:
        log.error("Matte: not installed: %s. Run: pip install -r requirements.txt", ", ".join(lacking))
        return 1
    folder = models_folder()
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("Matte: the models folder %s cannot be made (%s). Make it by hand.", folder, error.strerror)
    return check_weights(names, [folder] if folder is not None else []) if names else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
