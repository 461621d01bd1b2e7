"""What the command shows: sentences and a progress bar for people, one JSON line per event for machines."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Screen:
    """Notes, progress and the end of a job.

    With `machine` every event is one JSON line on standard output; with `openjd` progress is told there in the lines
    of Open Job Description (openjd_progress, openjd_status, openjd_fail) and there is no bar.
    """

    def __init__(self, machine: bool = False, openjd: bool = False) -> None:
        self.machine = machine
        self._openjd = openjd
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._started = 0.0
        self._done = self._total = 0

    def event(self, name: str, **values: Any) -> None:  # the values are the event's own fields
        if self.machine:
            self._line(json.dumps({"event": name, **values}))

    def _line(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def note(self, sentence: str) -> None:
        """One sentence about a choice that was made."""
        self.event("note", message=sentence)
        if not self.machine:
            self.console.print(f"  {sentence}", markup=False)

    def start(self, total: int, already: int = 0) -> None:
        """A job of `total` frames, `already` of them finished before."""
        self._started, self._done, self._total = time.monotonic(), 0, total - already
        self.event("start", total=total, already_finished=already)
        if self.machine or self._openjd:
            return
        if already:
            self.note(f"{already} of {total} frames are finished already and are kept.")
        self._progress = Progress(
            TextColumn("  frame {task.fields[number]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._task = self._progress.add_task("", total=self._total, number="-", rate="")
        self._progress.start()

    def frame(self, number: int) -> None:
        """One more frame is finished."""
        self._done += 1
        seconds = max(time.monotonic() - self._started, 1e-6)
        left = max(self._total - self._done, 0) * seconds / self._done
        self.event(
            "frame",
            number=number,
            done=self._done,
            total=self._total,
            frames_per_second=round(self._done / seconds, 3),
            seconds_left=round(left, 1),
        )
        if self._openjd:
            self._line(f"openjd_progress: {100 * self._done / max(self._total, self._done):.1f}")
            self._line(f"openjd_status: frame {number}, {self._done} of {self._total}")
        if self._progress is not None and self._task is not None:
            rate = f"{self._done / seconds:.2f} fps"
            self._progress.update(self._task, completed=self._done, number=number, rate=rate)

    def others(self, count: int) -> None:
        """So many frames were finished by other processes."""
        self._total -= count
        self.event("others", count=count)
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=self._total)

    def stop(self) -> None:
        """Takes the progress bar away; may be called twice."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def end(self, sentence: str, **values: Any) -> None:
        """The job is over: one sentence for people, a "done" event for machines."""
        self.stop()
        self.event("done", message=sentence, **values)
        if self._openjd:
            self._line(f"openjd_status: {sentence}")
        if not self.machine:
            self.console.print(sentence, markup=False)

    def error(self, sentence: str, exit_code: int) -> None:
        """One sentence that says what, where and the cure."""
        self.stop()
        self.event("error", message=sentence, exit_code=exit_code)
        if self._openjd:
            self._line(f"openjd_fail: {' '.join(sentence.split())}")
        if not self.machine:
            self.console.print("matte: ", sentence, sep="", markup=False, style="red")
