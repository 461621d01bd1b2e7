"""Damages files at random and hands them to Matte's readers, each try watched from another process.

A crash, an error that is no sentence, a try of more than --seconds of processor time (or STUCK times as long by the
clock), memory that grows by more than --memory, and any file touched outside the folders that are allowed are
faults. Every file can be made again from its number:

    python scripts/fuzz.py --files 10000 --seed 1
    python scripts/fuzz.py --seed 1 --only exr:812 --keep /tmp/damaged
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

GIB = 1 << 30
STARTING = 60  # seconds of processor time that a fresh process may take to be ready
STUCK = 30
READS = frozenset({"open", "os.listdir", "os.scandir"})
WRITES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
NEVER = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pickle.find_class")


class Guard:
    """Notes what a try does outside its folder: writing anywhere else, reading secrets, programs, the network."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secret = str(folder.resolve()), str(folder.resolve().parent / "secret")
        self.open, self.seen = False, list[str]()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.open:
            return
        if event.startswith(NEVER):
            self.seen.append(f"{event} {arguments!r:.200}")
        if event in READS | WRITES and arguments and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            writes = event in WRITES or (event == "open" and _for_writing(arguments))
            allowed = path.startswith(self.folder) or path == os.devnull
            if (writes and not allowed) or path.startswith(self.secret):
                self.seen.append(f"{event} {path}")


def _for_writing(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    by_mode = isinstance(mode, str) and any(letter in mode for letter in "wax+")
    return by_mode or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def memory(field: str) -> int:
    """Bytes of this process by a field of /proc/self/status: VmRSS, VmHWM, VmSize."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) << 10
    return 0


def serve(channel: Connection, folder: str, seed: int, most: int) -> None:
    """The process that does the tries: told (target, number), it answers with how the file was met."""
    sys.dont_write_bytecode = True
    from fuzz_targets import TARGETS, attempt, prepare_workflows, samples_of

    place = Path(folder)
    samples = {target.name: (target, samples_of(target)) for target in TARGETS}
    prepare_workflows(place)
    guard = Guard(place)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + 4 * most, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    channel.send("ready")
    while True:
        name, number = channel.recv()
        target, whole = samples[name]
        chance = random.Random(f"{seed}:{name}:{number}")
        data = target.damage(chance, whole)
        (place / "last").write_bytes(data)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before, started, fault = memory("VmRSS"), time.process_time(), ""
        guard.seen, guard.open = [], True
        try:
            answer = attempt(target, data, place, chance)
        except Exception:
            answer, fault = "fault", traceback.format_exc(limit=-4)
        guard.open = False
        grown = memory("VmHWM") - before
        if guard.seen:
            fault = f"touched {guard.seen[0]}"
        elif grown > most:
            fault = fault or f"took {grown / GIB:.1f} GiB for a file of {len(data)} bytes"
        channel.send((answer, fault, time.process_time() - started, grown))


class Watched:
    """A serving process and what becomes of it."""

    def __init__(self, folder: Path, seed: int, most: int) -> None:
        self._arguments = (str(folder), seed, most)
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        if not self._answers(STARTING) or self._channel.recv() != "ready":
            raise RuntimeError("the readers' process does not start")

    def try_one(self, name: str, number: int, seconds: float) -> tuple[str, str, float, int]:
        """(answer, fault, seconds, bytes); a process that died or hung is started anew."""
        self._channel.send((name, number))
        if self._answers(seconds):
            try:
                answer: tuple[str, str, float, int] = self._channel.recv()
                return answer
            except EOFError:
                self._process.join()
                fault = f"the process died (exit code {self._process.exitcode})"
        else:
            self._process.kill()
            self._process.join()
            fault = f"no answer within {seconds:g} s"
        self._start()
        return "fault", fault, seconds, 0

    def _answers(self, seconds: float) -> bool:
        began, cpu = time.monotonic(), self._cpu()
        while not self._channel.poll(1.0):
            if self._cpu() - cpu > seconds or time.monotonic() - began > STUCK * seconds:
                return False
        return True

    def _cpu(self) -> float:
        """Seconds of processor time that the process has taken."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def tries(files: int, only: str) -> Iterator[tuple[str, int]]:
    """(target, number) of every try, the targets mixed by their shares."""
    from fuzz_targets import TARGETS

    if only:
        name, _, number = only.partition(":")
        yield from [(name, int(number))] if number else [(name, each) for each in range(files)]
        return
    order = random.Random(files)
    names = order.choices([target.name for target in TARGETS], [target.share for target in TARGETS], k=files)
    count: Counter[str] = Counter()
    for name in names:
        yield name, count[name]
        count[name] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Damaged files through Matte's readers.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="a try that takes longer hangs")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB that a try may take")
    parser.add_argument("--only", default="", help="one target (exr) or one file of it (exr:812)")
    parser.add_argument("--keep", type=Path, help="folder for the files that made faults")
    options = parser.parse_args()
    faults, counts, slowest, largest = [], Counter[str](), 0.0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "allowed"
        folder.mkdir()
        process = Watched(folder, options.seed, int(options.memory * GIB))
        for name, number in tries(options.files, options.only):
            answer, fault, seconds, grown = process.try_one(name, number, options.seconds)
            outcome = "fault" if fault else "read" if answer == "read" else "refused"
            counts[f"{name} {outcome}"] += 1
            slowest, largest = max(slowest, seconds), max(largest, grown)
            if fault:
                faults.append({"file": f"{name}:{number}", "fault": fault})
                sys.stderr.write(f"{name}:{number} {fault}\n")
            if sum(counts.values()) % 500 == 0:
                sys.stderr.write(f"{sum(counts.values())} files\n")
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{name}-{number}").write_bytes((folder / "last").read_bytes())
        process.stop()
    told = {"files": sum(counts.values()), "faults": faults, "counts": dict(sorted(counts.items()))}
    sys.stdout.write(json.dumps({**told, "slowest_s": round(slowest, 2), "most_mib": largest >> 20}, indent=1) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
