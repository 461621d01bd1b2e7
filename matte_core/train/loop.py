"""The training loop: a recipe and photographs in, a folder with checkpoints, curve, pictures and weights out."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from matte_core.errors import ModelError, OutputError, SourceError, UsageError
from matte_core.train.checkpoint import Run, mean_tensors
from matte_core.train.material import load_material
from matte_core.train.plot import save_curve
from matte_core.train.recipe import Optimisation, Recipe, parse_recipe
from matte_core.train.tasks import Batch, Progress, Task

_DROP = 0.1  # what the rate falls to at each drop


def train(
    recipe_path: Path, data: Path | None, device: torch.device, resume: bool, folder: Path, progress: Progress
) -> Path:
    """Train by a recipe into `folder`; returns the file with the averaged weights, `net.pt`.

    data      folder of scene-linear photographs (.exr, .hdr) for textures, and of foregrounds with their alphas (see
              `cutouts`); None makes everything procedurally
    resume    go on from the folder's checkpoint: the same curve as if it had never stopped
    folder    gets bank/, validation/, last.pt, curve.png, scores, pictures and net.pt; a bank there is used again
    progress  told what is done, how much of it, and out of how much

    Raises UsageError for a bad recipe or a folder that already holds a run, SourceError for data or a
    checkpoint that cannot be read, ModelError where the loss is no number.
    """
    text = recipe_path.read_text(encoding="utf-8")
    recipe = parse_recipe(text)
    if not resume and (folder / "last.pt").exists():
        raise UsageError(f"{folder} holds a run already. Resume it or choose another folder.")
    task = recipe.make_task()
    _prepare(task, data, folder, progress)
    run = _start(recipe, task, device, folder)
    if resume:
        run.resume(folder, text, device)
    for iteration in range(run.iteration, recipe.optimisation.iterations):
        batch = task.draw(recipe.seed, iteration, recipe.optimisation.batch).to(device)
        losses = step(run, recipe, task, batch, device)
        if run.iteration % recipe.pace.note == 0:
            run.curve.add_losses(run.iteration, losses)
            progress("train", run.iteration, recipe.optimisation.iterations)
        last = run.iteration == recipe.optimisation.iterations
        if last or run.iteration % recipe.pace.validate == 0:
            run.curve.add_scores(run.iteration, task.look(run.average, folder, run.iteration, device))
        if last or run.iteration % recipe.pace.save == 0:
            run.save(folder, text)
            save_curve(run.curve, folder / "curve.png")
    torch.save(run.average.state_dict(), folder / "net.pt")
    return folder / "net.pt"


def step(run: Run, recipe: Recipe, task: Task, batch: Batch, device: torch.device) -> dict[str, float]:
    """One iteration on `run`, in place; returns the losses by name, and their weighted sum as "total"."""
    plan = recipe.optimisation
    for group in run.optimiser.param_groups:
        group["lr"] = plan.rate * group.get("share", 1.0) * _rate(run.iteration, plan)
    with torch.autocast(device.type, torch.bfloat16, enabled=plan.precision == "bf16"):
        answer = task.answer(run.net, batch)
    total, parts = task.loss(answer, batch)
    if not bool(torch.isfinite(total)):
        raise ModelError(f"the loss is no number at iteration {run.iteration}. Lower the rate in the recipe.")
    run.optimiser.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.net.parameters(), plan.clip)
    run.optimiser.step()
    run.iteration += 1
    _average(run.net, run.average, min(plan.average, (1 + run.iteration) / (10 + run.iteration)))
    return {"total": float(total.detach()), **parts}


def _start(recipe: Recipe, task: Task, device: torch.device, folder: Path) -> Run:
    torch.manual_seed(recipe.seed)
    net = task.build().to(device)
    if recipe.start:
        _take(net, [folder.parent / name for name in recipe.start.split("+")], device)
    groups = _groups(net, task.rates, recipe.optimisation.decay)
    optimiser = torch.optim.AdamW(groups, recipe.optimisation.rate, betas=recipe.optimisation.betas)
    return Run(net, copy.deepcopy(net).eval(), optimiser)


def _groups(net: nn.Module, rates: Mapping[str, float], decay: float) -> list[dict[str, Any]]:
    """Parameters by their share of the rate, and by whether they decay: matrices do, all others do not."""
    groups: list[dict[str, Any]] = []
    for beginning, share in (rates or {"": 1.0}).items():
        chosen = [parameter for name, parameter in net.named_parameters() if name.startswith(beginning)]
        for matrices in (True, False):
            some = [parameter for parameter in chosen if (parameter.ndim > 1) == matrices]
            groups.append({"params": some, "weight_decay": decay if matrices else 0.0, "share": share})
    return groups


def _take(net: nn.Module, paths: Sequence[Path], device: torch.device) -> None:
    """Start from the mean of the weights in `paths`.

    What they do not have, as a network for pictures has no memory, stays fresh, and an input more than they know is not
    listened to at first. Raises SourceError where they are missing or do not fit.
    """
    try:
        fresh = net.state_dict()
        net.load_state_dict(
            {**fresh, **{n: _widened(t, fresh.get(n, t)) for n, t in mean_tensors(paths, device).items()}}
        )
    except (SourceError, RuntimeError) as error:
        held = " and ".join(map(str, paths))
        raise SourceError(f"there are no weights to start from in {held} ({error}). Train them first.") from error


def _widened(weights: Tensor, fresh: Tensor) -> Tensor:
    """Those of a convolution with zeros for the last inputs where it has more of them than `weights` know."""
    more = fresh.shape[1] - weights.shape[1] if weights.ndim == fresh.ndim == 4 else 0
    return functional.pad(weights, (0, 0, 0, 0, 0, more)) if more > 0 else weights


def _prepare(task: Task, data: Path | None, folder: Path, progress: Progress) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}). Choose another folder.") from error
    task.prepare(folder, load_material(data), progress)


def _rate(iteration: int, plan: Optimisation) -> float:
    """The share of the full learning rate at `iteration`: a ramp, then the plan's drops, or a cosine to a fiftieth."""
    ramp = min(1.0, (iteration + 1) / max(plan.warm_up, 1))
    if plan.drops:
        return float(ramp * _DROP ** sum(iteration >= drop for drop in plan.drops))
    return ramp * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * iteration / plan.iterations)))


@torch.no_grad()
def _average(net: nn.Module, average: nn.Module, keep: float) -> None:
    """Draw the averaged weights towards the network's; counters are copied."""
    for ours, theirs in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if ours.is_floating_point():
            ours.lerp_(theirs, 1 - keep)
        else:
            ours.copy_(theirs)
