"""Models beside pymatting's solvers: pairing of files, what is measured, what it costs, what a failure costs."""

from __future__ import annotations

import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import pytest
import torch
from numpy.typing import NDArray

from matte_core.cli import main
from matte_core.errors import SourceError, UsageError
from matte_core.evaluate import asking, metrics
from matte_core.evaluate.asking import Answer, Settings, ask
from matte_core.evaluate.comparison import Comparison, compare
from matte_core.evaluate.cost import Cost, Stopwatch
from matte_core.evaluate.methods import Question, check
from matte_core.evaluate.pictures import Picture, folders_in, pictures_of
from matte_core.evaluate.statistics import difference
from matte_core.evaluate.strip import save_strip
from matte_core.evaluate.tables import markdown, number, table
from matte_core.models.classic.reference import reference_alpha

SIZE = 48
CLOSED_FORM = "pymatting closed-form"


class Here:
    """An executor that works in this process, so that most tests need not start one."""

    def __init__(self, *settings: Any) -> None:
        pass

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def shutdown(self) -> None:
        pass


def silent(method: str, trimaps: str, done: int, total: int) -> None:
    assert 0 < done <= total


def a_disc(radius: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A picture (H, W, 3) and its alpha (H, W)."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    alpha = np.clip((radius - np.hypot(rows - SIZE / 2, columns - SIZE / 2)) / 6 + 0.5, 0, 1)
    front = np.stack([0.8 + 0 * rows, rows / 100, 0.2 + columns / 200], -1)
    back = np.stack([columns / 200, 0.5 + 0 * rows, 0.6 + rows / 200], -1)
    return (alpha[..., None] * front + (1 - alpha[..., None]) * back).astype(np.float32), alpha


def save(path: Path, picture: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.rint(picture * 255).astype(np.uint8)[..., ::-1] if picture.ndim == 3 else
                       np.rint(picture * 255).astype(np.uint8))  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures in the layout of alphamatting.com."""
    folder = tmp_path / "data"
    for name, radius in (("GT01", 9), ("GT02", 12), ("GT03", 15)):
        picture, alpha = a_disc(radius)
        save(folder / "input" / f"{name}.png", picture)
        save(folder / "gt" / f"{name}.png", alpha)
        for trimaps, reach in (("trimap1", 1e-3), ("trimap2", 0.2)):
            narrow = np.where(alpha >= 1 - reach, 1, np.where(alpha <= reach, 0, 0.5))
            save(folder / trimaps / f"{name}.png", narrow.astype(np.float32))
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ProcessPoolExecutor", Here)


def compared(data: Path, scratch: Path, *methods: str) -> tuple[Comparison, asking.Answers, list[Picture]]:
    pictures = pictures_of(*folders_in(data))
    answers = ask(methods, pictures, Settings(), scratch, silent)
    return compare(methods, pictures, answers, CLOSED_FORM), answers, pictures


def test_the_reference_is_pymatting_measured_as_papers_do(data: Path, tmp_path: Path, here: None) -> None:
    found, _, _ = compared(data, tmp_path, CLOSED_FORM, "colour-prior")
    picture, truth = (cv2.imread(str(data / where / "GT02.png")).astype(np.float32) / 255 for where in ("input", "gt"))
    trimap = cv2.imread(str(data / "trimap1" / "GT02.png"), cv2.IMREAD_GRAYSCALE)
    known = np.where(trimap == 255, 1, np.where(trimap == 0, 0, 0.5))
    alpha = reference_alpha("closed-form", np.moveaxis(picture[..., ::-1], -1, 0), known)
    sad = metrics.sad(alpha, truth[..., 0], known == 0.5)
    assert found.reports["unknown", "trimap1", CLOSED_FORM].frames["GT02"]["SAD"] == pytest.approx(sad, rel=1e-5)
    assert found.mean("unknown", "trimap1", "colour-prior", "SAD") is not None
    # The known pixels are right here, so the whole picture has the same sum over more pixels.
    whole, unknown = (found.mean(region, "trimap1", CLOSED_FORM, "MSE") for region in ("whole", "unknown"))
    assert whole is not None and unknown is not None and whole < unknown
    assert set(found.costs) == {CLOSED_FORM, "colour-prior"}
    assert all(cost.seconds > 0 for cost in found.costs.values())


def test_a_method_that_fails_loses_its_own_answers_and_its_mean(
    data: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = a_disc(9)[1]

    def shaky(name: str, device: torch.device, precision: str) -> Any:
        def solve(question: Question) -> tuple[NDArray[np.float32], Cost]:
            if name == "shaky" and question.plate.stem == "GT02":
                raise ValueError("it did not\nconverge")
            return truth, Cost(1.0, 1.0)

        return solve

    monkeypatch.setattr(asking, "prepare", shaky)
    found, answers, pictures = compared(data, tmp_path, CLOSED_FORM, "shaky")
    assert found.mean("unknown", "trimap1", "shaky", "SAD") is None
    assert found.mean("unknown", "trimap1", CLOSED_FORM, "SAD") is not None
    assert found.difference("unknown", "trimap1", "shaky", "SAD") is None
    assert found.failures["shaky", "trimap1", "GT02"] == "it did not converge"
    text = markdown(found, "Here.")
    assert "- shaky, trimap1, GT02: it did not converge" in text
    save_strip(tmp_path / "strip.png", pictures[1], "trimap1", found.methods, answers)
    assert cv2.imread(str(tmp_path / "strip.png")).shape[1] == 5 * 364
    asking._ready.clear()


def test_a_process_that_dies_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Dying(Here):
        def __init__(self, *settings: Any) -> None:
            started.append(settings)

        def submit(self, function: Any, *arguments: Any) -> Future[Any]:
            if len(started) == 1:
                raise BrokenProcessPool
            future: Future[Any] = Future()
            future.set_result(Answer(tmp_path, Cost()))
            return future

    monkeypatch.setattr(asking, "ProcessPoolExecutor", Dying)
    with asking._Process("anything", Settings()) as process:
        question = Question(tmp_path, tmp_path)
        assert "its process died" in process.solve(question, tmp_path).failure
        assert process.solve(question, tmp_path).file == tmp_path
    assert len(started) == 2


def test_the_command_runs_models_in_processes_and_writes_tables_and_strips(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(data), "--model", "colour-prior", "--reference", "none", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    printed = capsys.readouterr().out
    assert "| colour-prior |" in printed and "3 pictures" in printed
    left_behind = {path.name for path in (tmp_path / "out").iterdir()}
    strips = {f"strip_{trimaps}_GT0{n}.png" for trimaps in ("trimap1", "trimap2") for n in (1, 2, 3)}
    assert left_behind == strips | {"report.md", "report.json"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"]["threads"] == 1
    (unknown,) = (e for e in report["errors"] if e["region"] == "unknown" and e["trimaps"] == "trimap1")
    assert unknown["mean"]["SAD"] == pytest.approx(sum(e["SAD"] for e in unknown["pictures"].values()) / 3)
    assert report["cost"]["colour-prior"]["peak"] is None or report["cost"]["colour-prior"]["peak"] > 10
    strip = cv2.imread(str(tmp_path / "out" / "strip_trimap1_GT03.png"))
    assert strip.shape == (2 * (360 + 26), 4 * 364, 3)


def save_linear(path: Path, picture: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = oiio.ImageSpec(SIZE, SIZE, 3, oiio.HALF)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(np.ascontiguousarray(picture)) and output.close()


def test_a_scene_linear_plate_is_also_solved_as_most_tools_do(
    data: Path, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, _ = a_disc(9)
    for name in ("GT01", "GT02", "GT03"):
        (data / "input" / f"{name}.png").unlink()
        save_linear(data / "input" / f"{name}.exr", picture * 4)
    with pytest.raises(SystemExit):
        main(["evaluate", str(data), "--model", "colour-prior", "--reference", "closed-form", "--json"])
    errors = json.loads(capsys.readouterr().out)["errors"]
    sad = {e["method"]: e["mean"]["SAD"] for e in errors if (e["region"], e["trimaps"]) == ("unknown", "trimap1")}
    assert list(sad) == [CLOSED_FORM, f"{CLOSED_FORM}, clipped sRGB", "colour-prior"]
    assert sad[CLOSED_FORM] < 0.9 * sad[f"{CLOSED_FORM}, clipped sRGB"]


@pytest.mark.parametrize("wrong", ["pymatting sorcery", "net_x"])
def test_a_method_that_is_not_there_is_named(wrong: str) -> None:
    with pytest.raises(Exception, match="there is no"):
        check(wrong)


def test_files_are_paired_by_name_and_what_is_missing_is_said(data: Path) -> None:
    pictures = pictures_of(*folders_in(data))
    assert [picture.name for picture in pictures] == ["GT01", "GT02", "GT03"]
    assert list(pictures[0].trimaps) == ["trimap1", "trimap2"]
    (data / "gt" / "GT02.png").unlink()
    with pytest.raises(UsageError, match=r"nothing called GT02 \(1 of 3"):
        pictures_of(*folders_in(data))
    (data / "image").mkdir()
    with pytest.raises(UsageError, match=r"2 folders of plates.*--plate"):
        folders_in(data)
    assert folders_in(data, plates=data / "input")[0] == data / "input"
    with pytest.raises(SourceError, match="is no folder"):
        folders_in(data / "nowhere")


def test_measuring_mattes_and_running_models_are_two_things(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--pred", "a", "--truth", "b", "--model", "knn"], "runs no model"),
        ([], "Give DATA"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["evaluate", *words])
        assert left.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_a_difference_has_an_interval_that_tells_chance_from_gain() -> None:
    random = np.random.default_rng(0)
    theirs = random.uniform(5, 10, 40)
    sure, unsure = theirs - random.uniform(0.5, 1.5, 40), theirs + random.normal(0, 1, 40)
    found = difference(sure.tolist(), theirs.tolist())
    assert found.low < found.mean < found.high < 0
    assert found.wins == found.count == 40
    doubtful = difference(unsure.tolist(), theirs.tolist())
    assert doubtful.low < 0 < doubtful.high
    assert difference([1.0, 2.0], [1.0, 2.0]) == difference([1.0, 2.0], [1.0, 2.0])
    assert difference([1.0, 2.0], [1.0, 2.0]).wins == 0


def test_a_stopwatch_counts_memory_and_time_and_nested_blocks_once() -> None:
    stopwatch = Stopwatch(torch.device("cpu"))
    with stopwatch.running(), stopwatch.running():
        held = np.ones(10_000_000)
    assert held.size
    cost = stopwatch.take()
    assert cost.seconds > 0
    assert cost.rise is None or 70 < cost.rise < 120
    assert stopwatch.take() == Cost()


def test_tables_are_aligned_and_numbers_short() -> None:
    lines = table(["method", "SAD"], [["knn", number(1234.5)], ["closed-form", number(0.01234)]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2] == "| knn         |  1234 |"
    assert number(None) == "-" and number(4.237) == "4.24"
