"""A file appears under its name whole or not at all; what a dead process left beside it is swept."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from matte_core.io.sequence import Pattern

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary file in the folder of `target`, which becomes `target` when the block ends without error.

    It is on the disk before it takes the name, and removed where the block fails. Two processes that write
    the same target do each other no harm: the later one wins, whole. Raises OSError.
    """
    temporary = target.with_name(f".{target.name}.{host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        _to_disk(temporary, os.O_RDWR)
        temporary.replace(target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _to_disk(target.parent, os.O_RDONLY)


def sweep(pattern: Pattern) -> int:
    """How many temporary files of this pattern were removed: only those of processes of this host that are dead.

    Where a process cannot be asked after (Windows) nothing is removed.
    """
    removed = 0
    for path in Path(pattern.folder).glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or found["host"] != host() or alive(int(found["pid"])):
            continue
        if pattern.file_name(0) == found["name"] or pattern.number(found["name"]) is not None:
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
    return removed


def _to_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def host() -> str:
    """Eight hex digits for the place where process numbers mean something: a host, or a container on it."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def alive(process: int) -> bool:
    """Whether the process of this host still runs; True where it cannot be asked after."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:  # one that was killed and not yet buried by its parent answers to signals too
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
