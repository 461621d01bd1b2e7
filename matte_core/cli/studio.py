"""`matte studio`: the nodes in ComfyUI's own page, for people without ComfyUI."""

from __future__ import annotations

from pathlib import Path

import click

from matte_core.cli.screen import Screen


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=8189, show_default=True)
@click.option("--folder", default="matte-studio", show_default=True, help="Where input, output and workflows live.")
@click.option("--allow", multiple=True, type=click.Path(path_type=Path), help="A folder it may read and write in.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page.")
def studio(host: str, port: int, folder: str, allow: tuple[Path, ...], open_browser: bool) -> None:
    """Serve Matte's nodes in ComfyUI's own front end, on this machine alone.

    It is a host for this pack, not ComfyUI. Needs: pip install "matte-core[studio]"
    """
    from matte_core.studio import serve

    serve(host, port, folder, allow, open_browser, say=Screen().note)
