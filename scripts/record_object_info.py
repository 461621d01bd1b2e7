"""Records how a running ComfyUI describes Matte's nodes, for the tests that hold the nodes and Studio to it.

Usage: record_object_info.py http://127.0.0.1:8188 [FILE]. The ComfyUI must have this checkout as its pack.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parents[1] / "tests" / "nodes" / "object_info.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("file", nargs="?", type=Path, default=RECORD)
    chosen = parser.parse_args()
    address = chosen.address.rstrip("/")
    described = answer(f"{address}/object_info")
    nodes = {name: without_place(entry) for name, entry in sorted(described.items()) if name.startswith("Matte")}
    if not nodes:
        raise SystemExit(f"{address} has none of Matte's nodes. Put this checkout into its custom_nodes.")
    version = answer(f"{address}/system_stats")["system"]["comfyui_version"]
    chosen.file.write_text(json.dumps({"comfyui": version, "nodes": nodes}, indent=1, ensure_ascii=False) + "\n")


def answer(address: str) -> Any:
    """What the server says at an address."""
    if not address.startswith(("http://", "https://")):
        raise SystemExit(f"{address} is no address. Give one such as http://127.0.0.1:8188")
    with urllib.request.urlopen(address, timeout=60) as reply:
        return json.loads(reply.read())


def without_place(described: dict[str, Any]) -> dict[str, Any]:
    """A node's description without the name of the folder that the pack lies in."""
    return {key: value for key, value in described.items() if key != "python_module"}


if __name__ == "__main__":
    main()
