"""`matte run`: a ComfyUI workflow file without ComfyUI."""

from __future__ import annotations

from pathlib import Path

import click

from matte_core.cli.screen import Screen
from matte_core.cli.share import Share, sharing
from matte_core.cli.work import deliver
from matte_core.cli.workers import count_of, run_workers
from matte_core.engine.engine import auto_means, pick_device
from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.graph import run_workflow
from matte_core.paths import Roots

EXAMPLES = Path(__file__).parents[2] / "samples"


@click.command()
@click.argument("workflow", type=click.Path(path_type=Path))
@click.option("--set", "settings", multiple=True, metavar="NODE.INPUT=VALUE", help="Change one input of one node.")
@click.option(
    "--allow", multiple=True, type=click.Path(path_type=Path), help="A folder the file may read and write in."
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("output"), show_default=True, help="Where it writes."
)
@click.option("--frames", default="", metavar="RANGE", help="1001-1100, 1001,1005. Default: all that it writes.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there and were made otherwise.")
@sharing
@click.option("--json", "machine", is_flag=True, help="One JSON line per event.")
@click.pass_context
def run(
    context: click.Context,
    /,
    workflow: Path,
    settings: tuple[str, ...],
    allow: tuple[Path, ...],
    output: Path,
    frames: str,
    device: str,
    overwrite: bool,
    workers: str,
    share: bool,
    chunk: int,
    machine: bool,
) -> int:
    """Run WORKFLOW, a ComfyUI workflow file, without ComfyUI.

    The file reads below the current folder, the bundled examples and the --allow folders, and writes below
    --output and the --allow folders. What --set names is yours and is not confined.
    """
    screen = Screen(machine)
    if (count := count_of(workers)) > 1:
        return run_workers([*context.obj, "--chunk", str(chunk)], count, device, screen)
    chosen = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"'{setting}' sets nothing. Write --set NODE.INPUT=VALUE.")
        chosen[name] = value
    used = pick_device(device)
    output.mkdir(parents=True, exist_ok=True)
    roots = Roots.of(read=[Path.cwd(), output, EXAMPLES, *allow], write=[output, *allow])
    with auto_means(used):
        built = run_workflow(workflow, chosen, roots)
    for note in built.notes:
        screen.note(note)
    wanted = FrameRange.parse(frames) if frames else None
    return deliver(built.receipts, wanted, used, overwrite, screen, Share(chunk) if share else None)
