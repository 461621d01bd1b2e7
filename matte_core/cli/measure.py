"""`matte evaluate`: how far mattes are from the truth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from matte_core.errors import UsageError
from matte_core.evaluate.metrics import Alpha
from matte_core.evaluate.over_time import ErrorStrip, as_json, save_flicker, write_report
from matte_core.evaluate.report import UNITS, Report, Sample
from matte_core.evaluate.report import evaluate as measure
from matte_core.flow import motion
from matte_core.io.image import FORMATS
from matte_core.io.sequence import find
from matte_core.pull import frames
from matte_core.shot import Shot
from matte_core.sources import matte_source
from matte_core.trimap import snap
from matte_core.windows import over_window_of


@click.command()
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--model", "models", multiple=True, metavar="NAME", help="A model to run; may be given several times.")
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="NAME",
    help="closed-form, knn, learning-based, random-walk (of pymatting; default all four) or none.",
)
@click.option("--plate", type=click.Path(path_type=Path), help="Folder of plates, where DATA's is another.")
@click.option("--truth", metavar="T", help="The true alphas: a folder of the same names, or the same frame numbers.")
@click.option("--trimap", "trimaps", multiple=True, metavar="R", help="Trimaps; several folders may be given.")
@click.option("--erosion", metavar="PX", help="Measure trimaps from masks eroded by so many pixels: 20,30,40,50.")
@click.option("--pred", metavar="P", help="Mattes made before: a sequence, a folder or a file. No model is run.")
@click.option("--stills", is_flag=True, help="With --pred: the frames are no sequence, measure nothing over time.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.md, report.json and picture strips.")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Processor threads per model.")
@click.option("--space", default="", help="Colour space of the plates. Default: as their files say.")
@click.option("--json", "machine", is_flag=True, help="The same as JSON.")
def evaluate(
    data: Path | None,
    models: tuple[str, ...],
    references: tuple[str, ...],
    plate: Path | None,
    truth: str | None,
    trimaps: tuple[str, ...],
    erosion: str | None,
    pred: str | None,
    stills: bool,
    out: Path | None,
    device: str,
    precision: str,
    threads: int,
    space: str,
    machine: bool,
) -> None:
    """Run models over pictures with true alphas, or measure mattes made before.

    DATA is a folder that holds folders of plates (input, image, comp …), true alphas (gt, alpha) and trimaps
    (trimap1, trimap2 …) with files of the same names; every picture is a shot of its own. Each model is
    measured beside pymatting's solvers: SAD, MSE, Grad and Conn in the unknown region and in the whole picture,
    seconds and memory, each in a process of its own.

    With --erosion no trimap is needed: masks are made of the true alphas, eroded and blurred. Models that answer
    with a trimap are measured beside fixed trimaps (accuracy, IoU of each region), and the mattes that follow
    from them, joined softly and hard (SAD and MSE of the whole picture).

    With --pred and --truth no model is run: SAD, MSE, MAD, Grad and Conn of every frame, in the unknown of
    --trimap or in the whole picture, and over time SSDA, dtSSD and MESSDdt (the motion is that of the true
    alphas, by DIS optical flow). --out then gets report.json, errors.png (frames with their errors) and flicker.png
    (the measures over the frames).
    """
    if pred is not None:
        if truth is None or len(trimaps) > 1 or data is not None or models or erosion:
            raise UsageError("--pred needs --truth, takes one --trimap at most, and runs no model. Leave the rest out.")
        _measure(pred, truth, trimaps[0] if trimaps else None, stills, out, machine)
        return
    from matte_core.cli.compare import compare_models, sweep_models
    from matte_core.evaluate.asking import Settings

    folders = (data, plate, Path(truth) if truth else None, [Path(folder) for folder in trimaps])
    settings = Settings(device, precision, threads, space)
    if erosion is not None:
        sweep_models(folders, erosion, models, settings, out, machine)
    else:
        compare_models(folders, models, references, settings, out, machine)


def _measure(pred: str, truth: str, trimap: str | None, stills: bool, out: Path | None, machine: bool) -> None:
    """Measures mattes made before against the truth and prints what was found; numbers and pictures go to `out`."""
    samples = _samples(_files(pred), _files(truth), _files(trimap) if trimap else None, stills)
    strip = ErrorStrip()
    report = measure(strip.seen(samples) if out else samples, sequence=not stills)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_report(report, out / "report.json")
        strip.save(out / "errors.png")
        if not stills:
            save_flicker(report, out / "flicker.png")
    if machine:
        sys.stdout.write(as_json(report))
        return
    Console(highlight=False, soft_wrap=True).print(_table(report))


def _files(text: str) -> dict[str, Path]:
    """Files of a folder by their names without ending, or of a sequence by frame number."""
    folder = Path(text)
    if folder.is_dir():
        return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in FORMATS}
    found = find(text)
    return {str(number): found.file_for(number) for number in found.on_disk}


def _samples(
    mattes: dict[str, Path], truths: dict[str, Path], trimaps: dict[str, Path] | None, stills: bool
) -> Iterator[Sample]:
    """Every true alpha that has a matte, with the motion to the next one."""
    names = [name for name in truths if name in mattes]
    if not names:
        raise UsageError(
            f"the mattes are called {_spell(mattes)} and the truth {_spell(truths)}: none in common. "
            "Give sequences of the same numbers, or folders of the same names."
        )
    waiting: Sample | None = None
    for name in names:
        truth = matte_source(str(truths[name]))
        alpha = _alpha(matte_source(str(mattes[name])), truth, "matte")
        sample = Sample(name, alpha, _alpha(truth, truth, "truth"))
        if trimaps is not None:
            sample = replace(sample, unknown=snap(_alpha(_guide(trimaps, name), truth, "trimap")) == 0.5)
        if waiting is not None:
            sample = replace(sample, starts=_gap(waiting.name, name))
            moves = not (stills or sample.starts) and waiting.truth.shape == sample.truth.shape
            yield replace(waiting, flow=motion(waiting.truth, sample.truth)) if moves else waiting
        waiting = sample
    if waiting is not None:
        yield waiting


def _gap(before: str, name: str) -> bool:
    """Whether frames are missing between two frame numbers: nothing is measured across."""
    return before.isdigit() and name.isdigit() and int(name) != int(before) + 1


def _guide(trimaps: dict[str, Path], name: str) -> Shot:
    """The trimap called `name`, or the only one there is."""
    if name not in trimaps and len(trimaps) != 1:
        raise UsageError(f"there is no trimap for {name}. Give one for every frame, or one for all.")
    return matte_source(str(trimaps.get(name) or next(iter(trimaps.values()))))


def _spell(files: dict[str, Path]) -> str:
    names = list(files)
    return f"{names[0]} … {names[-1]}" if len(names) > 1 else ", ".join(names) or "nothing"


def _alpha(shot: Shot, like: Shot, what: str) -> Alpha:
    frame = next(frames(over_window_of(like, shot, what)))
    return np.asarray(frame.pixels[0])


def _table(report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("frame")
    for name in report.mean:
        table.add_column(name, justify="right")
    for frame, found in report.frames.items():
        table.add_row(frame, *(f"{found[name]:.4g}" if name in found else "" for name in report.mean))
    table.add_row("mean", *(f"{value:.4g}" for value in report.mean.values()), style="bold")
    table.caption = "; ".join(f"{name}: {UNITS[name]}" for name in report.mean)
    table.caption_justify = "left"
    return table
