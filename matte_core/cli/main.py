"""The command's entry: its subcommands, and how errors leave it.

Exit codes: 0 done · 1 a fault of Matte's own · 2 the command was given something that cannot be right ·
3 a plate, mask or colour configuration cannot be read · 4 a model or device · 5 some frames could not be
made, all others were · 6 a frame or folder cannot be written · 130 stopped by Ctrl-C · 143 by SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from matte_core import __version__
from matte_core.cli.bench import bench
from matte_core.cli.cuts import cuts
from matte_core.cli.farm import farm
from matte_core.cli.look import doctor, info, models
from matte_core.cli.measure import evaluate
from matte_core.cli.screen import Screen
from matte_core.cli.sequence import sequence
from matte_core.cli.studio import studio
from matte_core.cli.train import train
from matte_core.cli.weights import weights
from matte_core.cli.workflow import run
from matte_core.errors import Cancelled, MatteError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="matte")
def commands() -> None:
    """Matte: a plate and a rough mask in, a matte that Nuke reads out."""


for command in (sequence, run, farm, models, info, doctor, evaluate, bench, cuts, train, studio, weights):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and leaves with its exit code; errors are one sentence on the error stream."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    screen = Screen("--json" in given, "--openjd" in given)
    try:
        sys.exit(commands.main(given, prog_name="matte", standalone_mode=False, obj=tuple(given)) or 0)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        where = f" See: {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        screen.error(error.format_message().rstrip(".") + "." + where, UsageError.exit_code)
        sys.exit(UsageError.exit_code)
    except MatteError as error:
        screen.error(str(error), error.exit_code)
        sys.exit(error.exit_code)
    except (Cancelled, KeyboardInterrupt, click.Abort):
        screen.error("stopped. Run the same command again to go on.", Cancelled.exit_code)
        sys.exit(Cancelled.exit_code)
    except BrokenPipeError:
        sys.exit(1)
