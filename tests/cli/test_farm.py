"""A command as a job of a render farm: what is written, and that chunks on several workers make the same bytes."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from matte_core.errors import UsageError
from matte_core.frame import FrameRange
from matte_core.models import classic
from matte_core.submit import FarmJob, Word, write_bundle

from .conftest import COUNT, MAIN, Folder, Matte
from .test_sequence import contents

ROOT = Path(__file__).parents[2]
OPENJD = shutil.which("openjd", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
NIGHT = (*MAIN, "--model", "closed-form", "--out", "out/m.####.exr")


@pytest.fixture
def bundle(shot: Folder, matte: Matte) -> Path:
    answer = matte("farm", "bundle", "--chunk", 2, "--seconds-per-frame", 30, "jobs/night", *NIGHT)
    assert answer.code == 0, answer.error
    assert "5 frames in 3 tasks." in answer.error
    return shot / "jobs/night"


def test_a_command_becomes_one_step_with_a_task_for_each_chunk(bundle: Path, shot: Folder) -> None:
    told = json.loads((bundle / "template.json").read_text())
    (step,) = told["steps"]
    (frames,) = step["parameterSpace"]["taskParameterDefinitions"]
    assert frames["range"] == ["1001-1002", "1003-1004", "1005"]
    action = step["script"]["actions"]["onRun"]
    assert action["args"][:4] == [
        "sequence",
        "{{Param.PlateFolder}}/plate.####.exr",
        "--mask",
        "{{Param.MaskFolder}}/mask.####.png",
    ]
    assert action["args"][-4:] == ["--frames", "{{Task.Param.Frames}}", "--share", "--openjd"]
    assert action["timeout"] == 600 + 2 * 30
    flows = {each["name"]: each.get("dataFlow") for each in told["parameterDefinitions"]}
    assert flows == {"Matte": None, "PlateFolder": "IN", "MaskFolder": "IN", "OutFolder": "OUT"}
    values = {each["name"]: each["value"] for each in _json(bundle / "parameter_values.json")["parameterValues"]}
    assert values == _json(bundle / "parameters.json")
    assert values["PlateFolder"] == str(shot.path) and values["OutFolder"] == str(shot / "out")
    assert not (shot / "out").exists()


def test_the_other_schedulers_run_a_chunk_by_its_number(bundle: Path, shot: Folder, matte: Matte) -> None:
    assert "Arguments=farm chunk <QUOTE>" + str(bundle) in (bundle / "deadline_plugin.txt").read_text()
    said = dict(line.partition("=")[::2] for line in (bundle / "deadline_job.txt").read_text().splitlines())
    assert (said["Plugin"], said["Frames"], said["OutputDirectory0"]) == ("CommandLine", "1-3", str(shot / "out"))
    submitting = ast.parse((bundle / "submit_opencue.py").read_text())
    words = [node.value for node in ast.walk(submitting) if isinstance(node, ast.Constant)]
    assert {"farm", "chunk", str(bundle), "#IFRAME#", "1-3"} <= set(words)
    for number, made in ((3, ["m.1005.exr"]), (1, ["m.1001.exr", "m.1002.exr", "m.1005.exr"])):
        answer = matte("farm", "chunk", bundle, number)
        assert answer.code == 0, answer.error
        assert shot.written == made
    answer = matte("farm", "chunk", bundle, 4)
    assert answer.code == 2 and "has 3 chunks, and 4 was asked for" in answer.sentence


def test_progress_is_told_in_open_job_descriptions_lines(shot: Folder, matte: Matte) -> None:
    answer = matte(*NIGHT, "--frames", "1001-1002", "--openjd")
    assert answer.code == 0, answer.error
    lines = answer.out.splitlines()
    assert [line for line in lines if line.startswith("openjd_progress")] == [
        "openjd_progress: 50.0",
        "openjd_progress: 100.0",
    ]
    assert lines[-1] == "openjd_status: Done: 2 frames."
    (shot / "plate.1003.exr").unlink()
    answer = matte(*NIGHT, "--openjd")
    assert answer.code == 3 and answer.out.startswith("openjd_fail: plate.1003.exr is missing")


def test_a_model_that_carries_a_state_from_the_first_frame_is_one_task(
    shot: Folder, matte: Matte, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrying = replace(classic.CLOSED_FORM.card, carries=True, warm_up=None)
    monkeypatch.setattr(classic, "CLOSED_FORM", replace(classic.CLOSED_FORM, card=carrying))
    answer = matte("farm", "bundle", "--chunk", 2, "jobs/whole", *NIGHT)
    assert answer.code == 0, answer.error
    assert "5 frames in one task, since a state is carried from its first frame" in answer.error
    assert _json(shot / "jobs/whole/job.json")["chunks"] == ["1001-1005"]
    answer = matte("farm", "bundle", "--chunk", 2, "jobs/takes", *NIGHT, "--cuts", "1004")
    assert "5 frames in 2 tasks, since a state is carried from where it begins anew" in answer.error
    assert _json(shot / "jobs/takes/job.json")["chunks"] == ["1001-1003", "1004-1005"]


def test_a_shot_with_keyframes_is_cut_at_them_and_the_tasks_make_the_bytes_of_one_process(
    shot: Folder, matte: Matte
) -> None:
    words = (*MAIN, "--model", "flow-mask", "--keyframes", "1001,1003", "--out")
    answer = matte("farm", "bundle", "--chunk", 1, "jobs/keys", *words, "out/m.####.exr")
    assert answer.code == 0, answer.error
    assert _json(shot / "jobs/keys/job.json")["chunks"] == ["1001-1002", "1003-1005"]
    for number in (2, 1):
        answer = matte("farm", "chunk", shot / "jobs/keys", number)
        assert answer.code == 0, answer.error
    assert matte(*words, "whole/m.####.exr").code == 0
    assert len(shot.written) == COUNT and contents(shot / "out") == contents(shot / "whole")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"arguments": ["sequence"]}', '{"arguments": ["studio"], "chunks": ["1"]}',
                '{"arguments": ["sequence", 1], "chunks": ["1"]}', '{"arguments": ["sequence"], "chunks": ["1..2"]}']
)  # fmt: skip
def test_a_file_that_is_no_job_is_refused(content: str, tmp_path: Path, matte: Matte) -> None:
    (tmp_path / "job.json").write_text(content)
    answer = matte("farm", "chunk", tmp_path, 1)
    assert answer.code == 3 and "is no job of a farm" in answer.sentence


def test_what_the_command_could_not_do_is_said_when_the_job_is_written(shot: Folder, matte: Matte) -> None:
    answer = matte("farm", "bundle", "jobs/wrong", *NIGHT, "--model", "closed-from")
    assert answer.code == 4 and "Did you mean closed-form?" in answer.sentence
    assert not (shot / "jobs").exists()


def test_a_workflow_is_a_job_too(shot: Folder, matte: Matte) -> None:
    workflow = ROOT / "workflows" / "mask_to_matte.json"
    words = ("run", workflow, "--output", "out", "--allow", "more", "--frames", "1001-1003", "--set", "3.grow=9")
    answer = matte("farm", "bundle", "--chunk", 1, "jobs/flow", *words)
    assert answer.code == 0, answer.error
    told = _json(shot / "jobs/flow/job.json")
    assert told["chunks"] == ["1001", "1002", "1003"]
    assert told["arguments"][:2] == ["run", str(workflow)] and str(shot / "more") in told["arguments"]
    values = _json(shot / "jobs/flow/parameters.json")
    assert values["OutputFolder"] == str(shot / "out") and values["AllowFolder1"] == str(shot / "more")
    action = _json(shot / "jobs/flow/template.json")["steps"][0]["script"]["actions"]["onRun"]
    assert "{{Param.OutputFolder}}" in action["args"] and "3.grow=9" in action["args"]


def test_a_word_that_the_farm_would_replace_is_refused(tmp_path: Path) -> None:
    job = FarmJob("job", (Word("run"), Word("{{Param.Matte}}")), (FrameRange([1]),), 300)
    with pytest.raises(UsageError, match=r"holds '\{\{'"):
        write_bundle(job, tmp_path / "job")


@pytest.mark.skipif(OPENJD is None, reason="openjd is not installed: pip install openjd-cli")
def test_openjd_takes_the_job_and_two_runners_make_the_bytes_of_one_process(
    bundle: Path, shot: Folder, matte: Matte
) -> None:
    worker = shot / "worker"
    worker.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m matte_core "$@"\n')
    worker.chmod(0o755)
    template = str(bundle / "template.json")
    checked = subprocess.run([str(OPENJD), "check", template], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    run = [str(OPENJD), "run", template, "-p", f"file://{bundle / 'parameters.json'}", "-p", f"Matte={worker}"]
    tasks = ('[{"Frames": "1001-1002"}]', '[{"Frames": "1003-1004"}, {"Frames": "1005"}]')
    runners = [
        subprocess.Popen([*run, "--tasks", each], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for each in tasks
    ]
    for runner in runners:
        said, _ = runner.communicate(timeout=600)
        assert runner.returncode == 0, said
        assert "openjd_progress: 100.0" in said
    assert len(shot.written) == COUNT
    assert matte(*MAIN, "--model", "closed-form", "--out", "whole/m.####.exr").code == 0
    assert contents(shot / "out") == contents(shot / "whole")


def _json(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    return content
