"""--memory: a budget that is kept, and refused where it is too little, by the command."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from matte_core.evaluate.speed.clip import make_clip
from matte_core.plan import Plan
from matte_core.pull import BUDGET

from .conftest import MAIN, Folder, Matte

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read as Linux tells it")
def test_the_whole_process_stays_within_its_budget(tmp_path: Path) -> None:
    make_clip(tmp_path, 270, 480, 2)
    script = """
        import sys
        from pathlib import Path
        from matte_core.cli import main
        try:
            main(sys.argv[1:])
        except SystemExit as end:
            peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
            print(end.code or 0, int(peak.split()[1]) * 1024)
    """
    asked = ["sequence", "plate.####.exr", "--trimap", "trimap.####.exr", "--out", "out/m.####.exr"]
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *asked, "--model", "colour-prior", "--memory", "900MB"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    code, peak = (int(word) for word in ran.stdout.split()[-2:])
    assert code == 0, ran.stderr
    assert peak <= 900_000_000
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_too_little_for_a_frame_is_said_with_need_free_and_setting(
    shot: Folder, matte: Matte, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matte_core.engine import room

    monkeypatch.setattr(room, "resident", lambda: 599_900_000)
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--model", "closed-form-device", "--memory", "600MB")
    assert answer.code == 5
    assert "closed-form-device needs about" in answer.error
    assert "of the 600 MB that --memory allows. Raise --memory, or choose a smaller model." in answer.error


@pytest.mark.parametrize(("amount", "why"), [("plenty", "is no amount of memory"), ("10MB", "is too little")])
def test_what_cannot_be_a_budget_is_refused_before_anything_is_read(
    shot: Folder, matte: Matte, amount: str, why: str
) -> None:
    answer = matte(*MAIN, "--out", "out/m.####.exr", "--memory", amount)
    assert answer.code == 2 and why in answer.error
    assert shot.written == []


def test_a_small_budget_leaves_less_beside_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matte_core.engine import running
    from matte_core.evaluate.speed.clip import pattern
    from matte_core.sources import plate_source

    make_clip(tmp_path, 540, 960, 2)
    plate = plate_source(pattern(tmp_path, "plate"))
    plan = Plan([(plate, plate.frames)])
    monkeypatch.setattr(running, "resident", lambda: 500_000_000)
    given = [running.shares(plan, budget) for budget in (None, 4 * 10**9, 10**9, 510 * 10**6)]
    assert [share.frames for share in given] == [BUDGET, BUDGET, 2 * plan.peak_bytes(), plan.peak_bytes()]
    assert [sum(share.lanes.values()) for share in given] == [5, 5, 4, 0]
    assert all(
        share.beside <= (budget - 500_000_000) / 2 for share, budget in zip(given[1:], (4e9, 1e9, 510e6), strict=True)
    )
