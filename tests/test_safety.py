"""What no part of the pack may do: run code or programs from data, unpickle, or reach the network unasked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACK = sorted(
    [ROOT / "__init__.py", ROOT / "install.py", *(ROOT / "matte_core").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]
)
CODE = {"eval", "exec", "compile", "__import__", "breakpoint"}
PROGRAMS = {"subprocess", "pty", "runpy", "code", "multiprocessing.popen_fork"}
PICKLES = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "copyreg", "yaml"}
NETWORK = {
    "socket",
    "http",
    "urllib.request",
    "requests",
    "httpx",
    "ftplib",
    "aiohttp",
    "huggingface_hub",
    "webbrowser",
}
SYSTEM = ("os.system", "os.popen", "os.exec", "os.spawn", "os.posix_spawn", "os.startfile", "os.fork")
# Studio is a server on this machine, and `matte studio --open` asks for the browser; host answers ComfyUI's page;
# fetch is what `matte weights fetch` asks for, and no node or workflow can.
SERVERS = {path for path in PACK if "studio" in path.relative_to(ROOT).parts}
STARTERS = {ROOT / "matte_core" / "cli" / "workers.py"}  # --workers starts Matte itself; no node or workflow can
SERVERS |= {ROOT / "nodes" / "host.py", ROOT / "matte_core" / "models" / "fetch.py"}


def spelt(node: ast.expr) -> str:
    """ "torch.load" of the expression torch.load."""
    return f"{spelt(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def faults(source: str, serves: bool = False, starts: bool = False) -> Iterator[str]:
    """What a module does that it may not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = []
        for name in names:
            known = {".".join(name.split(".")[:length]) for length in range(1, name.count(".") + 2)}
            harmless = name == "pickle.UnpicklingError"  # the name of an error
            if (known & ((set() if starts else PROGRAMS) | PICKLES) and not harmless) or (
                known & NETWORK and not serves
            ):
                yield f"imports {name}"
        if isinstance(node, ast.Call):
            name, given = spelt(node.func), {word.arg: spelt(word.value) or word.value for word in node.keywords}
            if name in CODE or name.startswith(SYSTEM):
                yield f"calls {name}"
            if name == "torch.load" and not _is(given.get("weights_only"), True):
                yield "calls torch.load without weights_only=True"
            if name in ("np.load", "numpy.load") and not _is(given.get("allow_pickle"), False):
                yield "calls np.load without allow_pickle=False"


def _is(value: object, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


@pytest.mark.parametrize("path", PACK, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_runs_no_code_and_no_program_unpickles_nothing_and_reaches_no_network(path: Path) -> None:
    assert list(faults(path.read_text(encoding="utf-8"), path in SERVERS, path in STARTERS)) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "exec(text)",
        "import subprocess",
        "from subprocess import run",
        "import os\nos.system('ls')",
        "os.execv('a', [])",
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "from urllib.request import urlopen",
        "import urllib.request",
        "from huggingface_hub import hf_hub_download",
        "import socket",
    ],
)
def test_the_check_sees(source: str) -> None:
    assert len(list(faults(source))) == 1


def test_the_check_lets_plain_things_be() -> None:
    plain = "import re\nre.compile('a')\nnet.eval()\ntorch.load(a, weights_only=True)\nnp.load(a, allow_pickle=False)"
    assert list(faults(plain)) == []
    assert list(faults("from urllib.parse import urlsplit\nfrom pickle import UnpicklingError")) == []
