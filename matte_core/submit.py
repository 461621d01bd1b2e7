"""A farm's own words for a job: Open Job Description, OpenCue, Deadline 10. Text alone, no library of theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from matte_core.errors import OutputError, UsageError
from matte_core.frame import FrameRange, Json
from matte_core.io.atomic import replacing

MOST_TASKS = 1024  # that one list of an Open Job Description may have
START = 600  # seconds a task may take besides its frames: a cold disk, libraries, weights
NOTICE = 120  # seconds between a farm's word to stop and its end
JOB_FILE = "job.json"


@dataclass(frozen=True)
class Word:
    """One word of the command: as it is, or a path, which farms map from one machine's mounts to another's."""

    text: str
    path: str = ""  # the folder's parameter, such as PlateFolder; `text` is then absolute
    before: str = ""  # what stands before the path, such as "hero="
    flow: str = ""  # IN, OUT or INOUT
    folder: bool = False  # the path is a folder itself


@dataclass(frozen=True)
class FarmJob:
    """A command that makes frames, cut into chunks: what any scheduler is told."""

    name: str
    words: tuple[Word, ...]
    chunks: tuple[FrameRange, ...]
    seconds_per_frame: int
    gpus: int = 0

    @property
    def timeout(self) -> int:
        """Seconds that a task may take: for its frames and for the start."""
        return START + self.seconds_per_frame * max(len(chunk) for chunk in self.chunks)


def write_bundle(job: FarmJob, folder: Path) -> list[Path]:
    """Writes the job's files into `folder`, which is made, and gives their paths. Raises OutputError, UsageError."""
    if len(job.chunks) > MOST_TASKS:
        raise UsageError(f"{len(job.chunks)} chunks are more than the {MOST_TASKS} of one job. Use a larger --chunk.")
    if any("{{" in word.text for word in job.words):
        raise UsageError("A word of the command holds '{{', which Open Job Description would replace. Rename the file.")
    texts = {
        "template.json": json.dumps(template(job), indent=1),
        "parameter_values.json": json.dumps(
            {"parameterValues": [{"name": name, "value": value} for name, value in parameters(job).items()]}, indent=1
        ),
        "parameters.json": json.dumps(parameters(job), indent=1),
        JOB_FILE: json.dumps({"arguments": plain(job.words), "chunks": [str(chunk) for chunk in job.chunks]}, indent=1),
        "submit_opencue.py": _filled(OPENCUE, job, folder),
        "deadline_job.txt": _filled(DEADLINE_JOB, job, folder),
        "deadline_plugin.txt": _filled(DEADLINE_PLUGIN, job, folder),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with replacing(folder / name) as temporary:
                temporary.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written to: {error.strerror}. Choose another folder.") from error
    return [folder / name for name in texts]


def plain(words: Sequence[Word]) -> list[str]:
    """The command's words with their paths as they are here."""
    return [word.before + word.text for word in words]


def parameters(job: FarmJob) -> dict[str, str]:
    """The job's parameters: the command, and the folders that it reads and writes."""
    folders = {word.path: word.text if word.folder else str(Path(word.text).parent) for word in job.words if word.path}
    return {"Matte": "matte", **folders}


def template(job: FarmJob) -> dict[str, Json]:
    """The Open Job Description (2023-09) of the job: one step, a task for each chunk of frames."""
    flows: dict[str, Word] = {word.path: word for word in job.words if word.path}
    action = {
        "command": "{{Param.Matte}}",
        "args": [*map(_templated, job.words), "--frames", "{{Task.Param.Frames}}", "--share", "--openjd"],
        "timeout": job.timeout,
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE},
    }
    step: dict[str, Json] = {
        "name": "Matte",
        "parameterSpace": {
            "taskParameterDefinitions": [
                {"name": "Frames", "type": "STRING", "range": [str(chunk) for chunk in job.chunks]}
            ]
        },
        "script": {"actions": {"onRun": action}},
    }
    if job.gpus:
        step["hostRequirements"] = {"amounts": [{"name": "amount.worker.gpu", "min": job.gpus}]}
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": job.name[:128],
        "description": "Frames that are finished are skipped, so a task may be run again at any time.",
        "parameterDefinitions": [
            {"name": "Matte", "type": "STRING", "default": "matte", "description": "The command on the worker."},
            *(
                {"name": name, "type": "PATH", "objectType": "DIRECTORY", "dataFlow": word.flow}
                for name, word in flows.items()
            ),
        ],
        "steps": [step],
    }


def _templated(word: Word) -> str:
    if not word.path:
        return word.text
    place = "{{Param." + word.path + "}}"
    return word.before + (place if word.folder else f"{place}/{Path(word.text).name}")


def _filled(form: str, job: FarmJob, folder: Path) -> str:
    outputs = [Path(word.text) for word in job.words if word.flow == "OUT"]
    values: Mapping[str, str] = {
        "name": job.name.replace("\n", " "),
        "name_literal": repr(job.name),
        "tasks": str(len(job.chunks)),
        "folder": str(folder.absolute()),
        "folder_literal": repr(str(folder.absolute())),
        "minutes": str(-(-job.timeout // 60)),
        "gpus": str(job.gpus),
        "output": str(outputs[0].parent if outputs else folder.absolute()),
    }
    return Template(form).substitute(values)


OPENCUE = '''"""Submits this job to OpenCue. Run it where OpenCue's own pyoutline is installed: python submit_opencue.py

Frame N of the job is chunk N of job.json; a frame may be retried at any time, finished files are skipped.
"""

from outline import Outline, cuerun
from outline.modules.shell import Shell

job = Outline($name_literal, frame_range="1-$tasks")
layer = Shell("matte", command=["matte", "farm", "chunk", $folder_literal, "#IFRAME#"], range="1-$tasks", chunk=1)
layer.set_arg("timeout", $minutes)
if $gpus:
    layer.set_arg("gpus", $gpus)
job.add_layer(layer)
cuerun.launch(job, use_pycuerun=False)
'''

# deadlinecommand deadline_job.txt deadline_plugin.txt
DEADLINE_JOB = """Plugin=CommandLine
Name=$name
Comment=Task N is chunk N of job.json. Finished files are skipped, so a task may be requeued at any time.
Frames=1-$tasks
ChunkSize=1
TaskTimeoutMinutes=$minutes
OnTaskTimeout=Error
EnableTimeoutsForScriptTasks=true
OutputDirectory0=$output
"""

DEADLINE_PLUGIN = """Executable=matte
Arguments=farm chunk <QUOTE>$folder<QUOTE> <STARTFRAME>
Shell=default
ShellExecute=False
SingleFramesOnly=True
"""
