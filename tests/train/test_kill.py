"""Every task, killed with no chance to tidy up in a process of its own, goes on as if it had never stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from matte_core.train import instance_bank, loop
from matte_core.train.bank import make_bank
from matte_core.train.clips import make_clips
from matte_core.train.keyed import make_keyed
from matte_core.train.material import Material
from matte_core.train.portraits import Portraits
from matte_core.train.subjects import Subjects, make_pictures

CPU = torch.device("cpu")
NET_M = "widths = [4, 4, 6, 6, 8]\nfull = 4\ndepths = [1, 1, 1, 1]\nrises = [1, 1, 1, 1]\nrefinement = 0\n"
NET_T = "stem = 4\ninner = [2, 2, 4, 4]\ncounts = [1, 1, 1, 1]\npyramid = 4\nskip = 4\n"
MAGGIE = (
    "widths = [4, 4, 8, 8, 8]\ndepths = [1, 1, 1, 1]\nrises = [1, 1]\ntokens = 8\nfine = 4\n"
    "spectral = false\nscrambled = false\npulled = false\nboxed = false\nevidence = true\n"
)
SETTINGS = {
    "maggie": f"[network]\n{MAGGIE}[data]\nmembers = 1\nshards = 1\nsize = 64\npart = 64\nvalidation = 1\n",
    "maggie clips": (
        f"[network]\ntemporal = true\n{MAGGIE}[data]\nframes = 2\nshards = 1\nsize = 64\npart = 64\nvalidation = 1\n"
    ),
    "net_m": f"[network]\n{NET_M}[data]\nshards = 1\nsize = 64\nvalidation = 1\n",
    "net_t": f"[network]\n{NET_T}[data]\nshards = 1\nsize = 64\npart = 48\nvalidation = 2\nlarge = 64\n",
    "portrait": (
        "[network]\npatch = 8\ndims = [4, 8, 8, 8]\ndepths = [1, 1, 1, 1]\nheads = [1, 2, 2, 2]\nstem = 4\n"
        "decoder = [8, 8, 8]\nlook = 64\n[network.refinement]\nnarrow = 4\nwide = 8\ntoken = 8\nheads = 2\n"
        "[data]\nshards = 1\nsize = 64\npart = 64\nbudget = 6\nhelped = 0.5\nempty = 0.2\nvalidation = 1\nlarge = 64\n"
    ),
    "adaption": (
        f"[network]\ncritic = 4\n[network.net_t]\n{NET_T}[network.net_m]\n{NET_M}"
        "[data]\nsize = 64\nshown = 1\n[data.rough]\nforeground = 4\nbackground = 8\nmask = 5\nblur = 1.0\n"
    ),
    "dvm": (
        "[network]\nreach = 1\nstem = 4\ninner = [2, 2, 3, 4]\ncounts = [1, 1, 1, 1]\naligned = 4\ngroups = 2\n"
        'decoder = [8, 6, 4, 4, 4]\ngiven = "alpha"\n'
        '[data]\nshards = 1\nsize = 64\nframes = 4\npart = 32\nfirst = ""\nvalidation = 1\nlarge = 64\n'
    ),
    "propagation": (
        "[network]\nstem = 4\ninner = [2, 2, 3]\ncounts = [1, 1, 1]\nkey = 4\nvalue = 4\ndecoder = [6, 4, 4, 4]\n"
        "carried = true\n"
        "[data]\nshards = 1\nsize = 64\nnumbers = [0, 2, 3]\npart = 32\nvalidation = 1\nmeasured = 4\n"
    ),
    "hstsg": (
        "[network]\nstem = 4\ninner = [2, 2, 2]\ncounts = [1, 1, 1]\nkeys = [4, 4, 4]\nvalues = [4, 4, 4]\nwide = 8\n"
        "tail = [4, 4, 4]\nrefined = 4\nwindow = 3\ncandidates = 4\nstart = true\n"
        "[data]\nshards = 1\nsize = 64\nframes = 4\nlength = 3\nvalidation = 1\nheld_out = 3\n"
    ),
}
ITERATIONS, KILLED = 12, 5
WAITING = """
import sys
from matte_core.cli import main
from matte_core.cli.screen import Screen

after, note = sys.argv.pop(1), Screen.note

def waiting(screen, sentence):
    note(screen, sentence)
    if after in sentence:
        sys.stdin.read()  # never ends: the process is killed here, however slow the machine is

Screen.note = waiting
main()
"""
SCHEDULE = (
    f"[optimisation]\niterations = {ITERATIONS}\nbatch = 2\n[pace]\nnote = 1\nvalidate = {ITERATIONS}\nsave = 2\n"
)


def footage(data: Path) -> None:
    """One frame of a disc with a rough mask, and a background."""
    rows, columns = np.mgrid[0:96, 0:96]
    disc = (np.hypot(rows - 48, columns - 48) < 30).astype(np.uint8)
    noise = np.random.default_rng(0).integers(60, 200, (96, 96, 3)).astype(np.uint8)
    for name, picture in (("image", noise), ("mask", disc * 255), ("bg", noise[::-1])):
        (data / name).mkdir()
        assert cv2.imwrite(str(data / name / "0.png"), picture)


def kill(words: list[str], after: str) -> None:
    """Run the command with one thread, and end it with SIGKILL when it has said `after`, where it waits for that."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, after, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout is not None
        assert any(after in line for line in process.stdout)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums are bit for bit the same only with the same number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("task", SETTINGS)
def test_a_run_killed_by_signal_9_resumes_to_the_same_curve_and_weights(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_bank, "CROPS_PER_SHARD", 6)
    monkeypatch.setattr(instance_bank, "CLIPS_PER_SHARD", 2)
    data = tmp_path / "data"
    data.mkdir()
    if task == "adaption":
        footage(data)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'name = "tiny"\ntask = "{task.split()[0]}"\nseed = 3\n{SETTINGS[task]}{SCHEDULE}', encoding="utf-8"
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matte_core.train.bank.CROPS_PER_SHARD", 3)
        if task == "net_m":
            make_bank(whole / "bank", 1, 1, 64, Material())
        elif task == "net_t":
            make_pictures(Subjects, whole / "bank", 1, 1, 64, Material(), count=3)
        elif task == "portrait":
            make_pictures(Portraits, whole / "bank", 1, 1, 64, Material(), count=3)
        elif task == "dvm":
            make_clips(whole / "bank", 1, 1, 64, 4, (), count=2)
        elif task == "propagation":
            make_keyed(whole / "bank", 1, 1, 64, (0, 2, 3), (), count=2)
        elif task == "hstsg":
            patch.setattr("matte_core.train.tasks.hstsg.CLIPS_PER_SHARD", 2)
    loop.train(recipe, data, CPU, False, whole, lambda stage, done, total: None)
    for made in ("members", "strangers", "bank", "validation"):
        if (whole / made).exists():
            shutil.copytree(whole / made, killed / made)
    words = ["train", str(recipe), "--data", str(data), "--folder", str(killed), "--device", "cpu", "--json"]
    kill(words, f"train: {KILLED} of {ITERATIONS}")
    assert not (killed / "net.pt").exists()
    loop.train(recipe, data, CPU, True, killed, lambda stage, done, total: None)
    ends = [torch.load(folder / "last.pt", weights_only=True) for folder in (whole, killed)]
    assert ends[0]["curve"] == ends[1]["curve"] and len(ends[0]["curve"]["iterations"]) == ITERATIONS
    for kept in ("net", "average"):
        assert all(torch.equal(value, ends[1][kept][name]) for name, value in ends[0][kept].items())
