"""Studio: ComfyUI's own page over a pack's nodes, on this machine, for people without ComfyUI and for tests.

It is a host for one pack, not ComfyUI: it runs that pack's nodes and a handful of core nodes, one prompt at a time.
Not there: lazy inputs, nodes that expand into other nodes, nodes of ComfyUI's third form, several users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matte_core.errors import UsageError

CHECKOUT = Path(__file__).resolve().parents[2]


def serve(
    host: str = "127.0.0.1",
    port: int = 8189,
    folder: Path | str = "matte-studio",
    roots: Sequence[Path | str] = (),
    open_browser: bool = False,
    *,
    pack: Path | str | None = None,
    front: Path | str | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Serves the page until Ctrl-C; `say` is told its address once it can be opened.

    folder  holds input/, output/ and user/ (settings, saved workflows); made where it is missing
    roots   further folders that nodes may read and write
    pack    folder of the pack whose nodes are served; by default the checkout this package lies in
    front   static folder of the page; by default that of the installed comfyui-frontend-package

    Raises UsageError where the address is not on this machine or in use, or where a part is not installed.
    """
    try:
        from matte_core.studio.server import Settings, run
    except ModuleNotFoundError as error:
        raise UsageError(f"Studio needs {error.name}. Install it: pip install 'matte-core[studio]'") from None
    settings = Settings(host, port, Path(folder), tuple(Path(root) for root in roots), Path(pack or CHECKOUT))
    run(settings, front=None if front is None else Path(front), open_browser=open_browser, say=say)
