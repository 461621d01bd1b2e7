"""A comparison as Markdown tables that read well as plain text too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matte_core.evaluate.comparison import COMPARED, REGIONS, Comparison
from matte_core.evaluate.regions import REGIONS as REGION_NAMES
from matte_core.evaluate.report import UNITS
from matte_core.evaluate.sweep import FIXED, Matte, Sweep

MEASURES = ("SAD", "MSE", "Grad", "Conn")
_NOTHING = "-"
_TITLES = {"unknown": "Unknown region", "whole": "Whole picture"}


def markdown(found: Comparison, setting: str) -> str:
    """The comparison: mean errors, differences to the reference, costs, every picture. `setting` says how it ran."""
    units = "; ".join(f"{name}: {UNITS[name]}" for name in MEASURES)
    count = f"{len(found.pictures)} pictures" if len(found.pictures) > 1 else "1 picture"
    parts = [f"{count}. {setting}\n\n{units}."]
    parts += [f"## {_TITLES[region]}, mean\n\n{_means(found, region)}" for region in REGIONS]
    if found.reference in found.methods:
        parts.append(
            f"## Difference to {found.reference}, unknown region\n\n"
            f"Mean over the pictures [95 % interval, bootstrap over the pictures]; wins.\n\n{_differences(found)}"
        )
    parts.append(
        "## Cost\n\nPer megapixel of picture, loading and warm-up not counted. Memory: the most that the process grew "
        f"by per megapixel, and the most it held in all.\n\n{_costs(found)}"
    )
    parts += [f"## Every picture, {trimaps}, unknown region, SAD / MSE\n\n{_each(found, trimaps)}"
              for trimaps in found.trimaps]  # fmt: skip
    if found.failures:
        lines = [f"- {method}, {trimaps}, {name}: {why}" for (method, trimaps, name), why in found.failures.items()]
        parts.append("## Without an answer\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def sweep_markdown(found: Sweep, count: int) -> str:
    """The regions for every erosion, then SAD and MSE of the whole picture over the erosions."""
    erosions = list(found.regions)
    names = ["accuracy", *REGION_NAMES, "mIoU"]
    parts = [
        f"{count} pictures; masks made of the true alphas, eroded and blurred. True regions: full and no coverage, "
        "each eroded by 15 px. The fixed trimap has the single radius whose unknown is best on these very pictures."
    ]
    for erosion in erosions:
        rows = [
            [f"{name}, {found.radius[erosion]} px" if name == FIXED else name, *(f"{v:.4f}" for v in scores.values())]
            for name, scores in found.scores(erosion).items()
        ]
        title = f"## Mask eroded by {erosion} px: accuracy, IoU, mIoU of the regions"
        parts.append(f"{title}\n\n{table(['trimap', *names], rows)}")
    rows = [
        [_spelled(matte), *(" / ".join(map(number, found.mean(erosion, matte))) for erosion in erosions)]
        for matte in found.errors[erosions[0]]
    ]
    if rows:
        head = ["matte", *(f"{erosion} px" for erosion in erosions)]
        parts.append(f"## SAD / MSE of the whole picture over the erosion\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def sweep_json(found: Sweep) -> dict[str, Any]:
    """The same as plain JSON."""
    return {
        str(erosion): {
            "radius": found.radius[erosion],
            "regions": found.scores(erosion),
            "mattes": [
                {**matte._asdict(), **dict(zip(("SAD", "MSE"), found.mean(erosion, matte), strict=True))}
                for matte in found.errors[erosion]
            ],
        }
        for erosion in found.regions
    }


def _spelled(matte: Matte) -> str:
    return f"{matte.alpha} from {matte.trimap}" + (f", {matte.fusion} fusion" if matte.fusion else "")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, the first to the left and all others to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    rule = [("-" if place == 0 else "") + "-" * (width - 1) + ("" if place == 0 else ":")
            for place, width in enumerate(widths)]  # fmt: skip
    lines = [
        [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (head, *rows)
    ]
    lines.insert(1, rule)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float | None) -> str:
    """Three or four digits that count; a dash for nothing."""
    if value is None:
        return _NOTHING
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def _means(found: Comparison, region: str) -> str:
    head = ["method", *(f"{trimaps} {name}" for trimaps in found.trimaps for name in MEASURES)]
    rows = [
        [method, *(number(found.mean(region, trimaps, method, name)) for trimaps in found.trimaps for name in MEASURES)]
        for method in found.methods
    ]
    return table(head, rows)


def _differences(found: Comparison) -> str:
    head = ["method", *(f"{trimaps} {name}" for trimaps in found.trimaps for name in COMPARED)]
    rows = []
    for method in found.methods:
        if method == found.reference:
            continue
        row = [method]
        for trimaps in found.trimaps:
            for name in COMPARED:
                apart = found.difference("unknown", trimaps, method, name)
                row.append(
                    _NOTHING
                    if apart is None
                    else f"{apart.mean:+.2f} [{apart.low:+.2f}, {apart.high:+.2f}] {apart.wins}/{apart.count}"
                )
        rows.append(row)
    return table(head, rows)


def _costs(found: Comparison) -> str:
    reference = found.costs.get(found.reference)
    head = ["method", "s", "processor s", "to the reference", "grew by MB", "peak MB", "graphics card MB"]
    rows = []
    for method, cost in found.costs.items():
        share = _NOTHING if reference is None else f"{cost.processor / max(reference.processor, 1e-9):.2f}x"
        memory = [_NOTHING if value is None else f"{value:.0f}" for value in (cost.rise, cost.peak)]
        card = f"{cost.device:.0f}" if cost.device else _NOTHING
        rows.append([method, number(cost.seconds), number(cost.processor), share, *memory, card])
    return table(head, rows)


def _each(found: Comparison, trimaps: str) -> str:
    reports = [found.reports["unknown", trimaps, method].frames for method in found.methods]
    rows = []
    for name in found.pictures:
        errors = [report.get(name) for report in reports]
        cells = [_NOTHING if e is None else f"{e['SAD']:.2f} / {e['MSE']:.1f}" if "MSE" in e else "0" for e in errors]
        rows.append([name, *cells])
    return table(["picture", *found.methods], rows)
