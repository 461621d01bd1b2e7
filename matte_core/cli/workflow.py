"""`matte run`: a ComfyUI workflow file without ComfyUI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matte_core.cli.planned import Planned
from matte_core.cli.share import sharing
from matte_core.cli.work import carry_out
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
@click.option("--read", multiple=True, type=click.Path(path_type=Path), help="A folder the file may read in.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("output"), show_default=True, help="Where it writes."
)
@click.option("--frames", default="", metavar="RANGE", help="1001-1100, 1001,1005. Default: all that it writes.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--memory",
    default="",
    metavar="6GB",
    help="The most memory to take, of the machine and of a graphics card each; with --workers, by every one of them. "
    "Default: what there is.",
)
@click.option(
    "--compile",
    is_flag=True,
    help="Compile networks first: a minute for each size, quicker afterwards.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there and were made otherwise.")
@sharing
@click.pass_context
def run(context: click.Context, /, **options: Any) -> int:
    """Run WORKFLOW, a ComfyUI workflow file, without ComfyUI.

    The file reads below the current folder, the bundled examples, the --read and the --allow folders, and writes
    below --output and the --allow folders. What --set names is yours and is not confined.
    """
    return carry_out(context, planned_run)


def planned_run(context: click.Context) -> Planned:
    """What the workflow will write, as the command's options say. Raises MatteError where it cannot run."""
    given, chosen = context.params, {}
    for setting in given["settings"]:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"'{setting}' sets nothing. Write --set NODE.INPUT=VALUE.")
        chosen[name] = value
    used, output = pick_device(given["device"]), given["output"]
    output.mkdir(parents=True, exist_ok=True)
    read = [Path.cwd(), *given["read"], output, EXAMPLES, *given["allow"]]
    with auto_means(used):
        built = run_workflow(given["workflow"], chosen, Roots.of(read=read, write=[output, *given["allow"]]))
    wanted = FrameRange.parse(given["frames"]) if given["frames"] else None
    return Planned(built.receipts, wanted, used, given["overwrite"], built.notes)
