"""`matte farm`: a command as a job for a render farm, and one chunk of it on a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from matte_core.cli.planned import Planned
from matte_core.cli.sequence import planned_sequence, sequence
from matte_core.cli.workflow import planned_run, run
from matte_core.errors import SourceError, UsageError
from matte_core.farm import cut, seams
from matte_core.frame import FrameRange
from matte_core.submit import JOB_FILE, FarmJob, Word, write_bundle

COMMANDS: Mapping[str, tuple[click.Command, Callable[[click.Context], Planned]]] = {
    "sequence": (sequence, planned_sequence),
    "run": (run, planned_run),
}
PATHS = {"plate": "IN", "mask": "IN", "trimap": "IN", "instances": "IN", "ocio": "IN", "workflow": "IN", "read": "IN"}
PATHS |= {"out": "OUT", "output": "OUT", "allow": "INOUT"}
FOLDERS = ("read", "output", "allow")
OWN = ("frames", "share", "chunk", "workers", "machine", "openjd")  # what the farm says of each task
WORKERS = 16  # machines that chunks are sized for where no size is given


@click.group()
def farm() -> None:
    """Jobs for a render farm: Open Job Description (AWS Deadline Cloud), OpenCue, Deadline 10."""


@farm.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("command", type=click.Choice(list(COMMANDS)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--name", default="", help="The job's name. Default: that of the output.")
@click.option("--chunk", default=0, type=click.IntRange(0), metavar="FRAMES", help="Frames of a task. Default: suits.")
@click.option(
    "--seconds-per-frame",
    default=300,
    show_default=True,
    type=click.IntRange(1),
    help="After so long for each frame a task is ended.",
)
@click.option("--gpus", default=0, show_default=True, type=click.IntRange(0, 16), help="Graphics cards a task needs.")
def bundle(
    folder: Path, command: str, words: tuple[str, ...], name: str, chunk: int, seconds_per_frame: int, gpus: int
) -> int:
    """Write the job of `matte COMMAND WORDS…` into FOLDER; options of this command come before FOLDER.

    Frames are cut where the models allow it; a shot whose model carries a state, only where the state begins anew.
    """
    chosen, planned_of = COMMANDS[command]
    with chosen.make_context(command, list(words)) as context:
        planned = planned_of(context)
        spelt = [Word(command), *_words(chosen, context)]
    pieces = cut(planned.receipts, planned.frames, chunk, WORKERS)
    if not pieces:
        raise UsageError("The command makes no frames. Check --frames.")
    outputs = [Path(word.text) for word in spelt if word.flow == "OUT"]
    title = name or f"Matte {outputs[-1].name.partition('.')[0] if outputs else folder.name}"
    paths = write_bundle(FarmJob(title, tuple(spelt), tuple(pieces), seconds_per_frame, gpus), folder)
    found = seams(planned.receipts)
    cuts = f"{len(pieces)} tasks" if len(pieces) > 1 or not found.whole else "one task"
    if found.whole:
        cuts += f", since a state is carried from {'where it begins anew' if found.begins else 'its first frame'}"
    warm = f", each running up to {found.warm_up} frames before its first" if found.warm_up and not found.whole else ""
    click.echo(f"{len(planned.frames)} frames in {cuts}{warm}.", err=True)
    click.echo("\n".join(str(path) for path in paths))
    click.echo(f"Run it here: openjd run {paths[0]} -p file://{paths[2]}", err=True)
    click.echo(f"AWS Deadline Cloud: deadline bundle submit {folder}", err=True)
    click.echo(f"Deadline 10: deadlinecommand {paths[5]} {paths[6]}    OpenCue: python {paths[4]}", err=True)
    return 0


@farm.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("number", type=click.IntRange(1))
@click.pass_context
def chunk(context: click.Context, folder: Path, number: int) -> int:
    """Make chunk NUMBER (from 1) of the job in FOLDER: what a scheduler's task runs."""
    arguments, chunks = _job(folder / JOB_FILE)
    if number > len(chunks):
        raise UsageError(f"{folder} has {len(chunks)} chunks, and {number} was asked for.")
    chosen = COMMANDS[arguments[0]][0]
    words = [*arguments[1:], "--frames", chunks[number - 1], "--share"]
    with chosen.make_context(arguments[0], words, parent=context) as inner:
        return int(chosen.invoke(inner) or 0)


def _job(path: Path) -> tuple[list[str], list[str]]:
    """(arguments, chunks) of a job's file. Raises SourceError where it is none."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        arguments, chunks = said["arguments"], said["chunks"]
        good = all(isinstance(word, str) for word in [*arguments, *chunks]) and arguments[0] in COMMANDS
        for text in chunks:
            FrameRange.parse(text)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}). Write it with: matte farm bundle") from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, UsageError):
        good = False
    if not good:
        raise SourceError(f"{path} is no job of a farm. Write it with: matte farm bundle")
    return arguments, chunks


def _words(command: click.Command, context: click.Context) -> Iterator[Word]:
    """The command's words as they were given, paths made absolute and told apart."""
    for parameter in command.params:
        name = str(parameter.name)
        if name in OWN or context.get_parameter_source(name) is ParameterSource.DEFAULT:
            continue
        value = context.params[name]
        option = [] if isinstance(parameter, click.Argument) else [Word(parameter.opts[-1])]
        if getattr(parameter, "is_flag", False):
            yield from option if value else ()
            continue
        for place, each in enumerate(value if parameter.multiple else [value]):
            yield from option
            yield _word(name, str(each), place if parameter.multiple else -1)


def _word(name: str, text: str, place: int) -> Word:
    before = text[: text.index("=") + 1] if name == "instances" and "=" in text else ""
    path = text[len(before) :]
    if name not in PATHS or path.startswith("ocio://"):
        return Word(text)
    count = str(place + 1) if place >= 0 else ""
    absolute = str(Path(path).absolute())
    return Word(absolute, f"{name.capitalize()}Folder{count}", before, PATHS[name], name in FOLDERS)
