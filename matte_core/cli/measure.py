"""`matte evaluate`: how far mattes are from the truth."""

from __future__ import annotations

import click


@click.command()
@click.option("--pred", required=True, help="The mattes: a sequence or a file.")
@click.option("--truth", required=True, help="The true alphas.")
@click.option("--trimap", help="Measure only where this is unknown.")
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def evaluate(pred: str, truth: str, trimap: str | None, machine: bool) -> None:
    """Measure mattes against the truth."""
    raise NotImplementedError
