"""`matte weights`: fetch the weights of models that do not ship with Matte."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from matte_core.cli.screen import Screen
from matte_core.errors import UsageError
from matte_core.models.catalogue import model
from matte_core.models.fetch import convert, fetch
from matte_core.models.weights import permitted


@click.group()
def weights() -> None:
    """Weights that do not ship with Matte. Nothing is ever fetched unasked."""


@weights.command("fetch")
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), help="A file that is here already; no network.")
@click.option("--non-commercial", is_flag=True, help="Confirms that the weights will not be used for paid work.")
@click.option("--json", "machine", is_flag=True, help="One JSON line per event.")
def fetch_command(name: str, source: Path | None, non_commercial: bool, machine: bool) -> None:
    """Fetch the weights of the model NAME from the public model hub, after showing their licence."""
    screen, chosen = Screen(machine), model(name)
    said = permitted(chosen.card).weights
    if said is not None and said.repository:
        screen.note(f"Weights of {name}: {said.megabytes:.0f} MB, {said.repository}. Licence: {said.licence}.")
        if not said.commercial and not non_commercial and not _confirmed():
            raise UsageError(
                f"the weights of {name} may not be used for paid work, and that was not confirmed. "
                "Confirm with --non-commercial, or see: matte models --commercial-only"
            )
    path = fetch(chosen, source)
    screen.note(f"{path.name} is in {path.parent}; {name} can be used.")


@weights.command("convert")
@click.argument("name")
@click.option("--from", "source", type=click.Path(path_type=Path), required=True, help="Your own file.")
@click.option("--json", "machine", is_flag=True, help="One JSON line per event.")
def convert_command(name: str, source: Path, machine: bool) -> None:
    """Convert a checkpoint of your own for the model NAME. Only tensors are read from it; nothing is fetched."""
    path = convert(model(name), source)
    Screen(machine).note(f"{path.name} is in {path.parent}; {name} can be used.")


def _confirmed() -> bool:
    """Whether the person said yes; a command without a person is not asked."""
    return sys.stdin.isatty() and click.confirm("Not for paid work. Use them for non-commercial work only?")
