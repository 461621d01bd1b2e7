"""`matte weights fetch` against a stand-in for the model hub: its redirects, its marks, and a line that breaks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from matte_core.errors import ModelError
from matte_core.models import maggie
from matte_core.models.fetch import fetch
from matte_core.models.maggie.net import Maggie
from matte_core.models.weights import find, models_folder

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """Pages by repository, each with one file. `breaks`: after how many bytes the next answers break off; `stated`:
    the sha256 that the pages state instead of the true one. `asked`: the ranges that files were asked for."""

    pages: dict[str, Path]
    breaks: list[int] = field(default_factory=list)
    stated: str = ""
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """A page redirects to where its file lies, on another host as with the hub, with the file's sha256 and size."""

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, whole: bool) -> None:
            repository, _, rest = self.path.strip("/").partition("/resolve/")
            stored = self.path.startswith("/stored/")
            repository = self.path.removeprefix("/stored/") if stored else repository
            file = hub.pages.get(repository)
            if file is None or not (stored or rest in (f"{at}/model.safetensors" for at in ("main", COMMIT))):
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = file.read_bytes()
            if not stored:
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{hub.port}/stored/{repository}")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("X-Linked-Etag", f'"{hub.stated or hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Linked-Size", str(len(content)))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = self.headers.get("Range", "")
            hub.asked.append(asked)
            first = int(asked.removeprefix("bytes=").partition("-")[0] or 0)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if whole:
                last = first + hub.breaks.pop(0) if hub.breaks else len(content)
                self.wfile.write(content[first:last])
                self.close_connection = last < len(content)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    return Handler


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    """A hub without pages."""
    hub = Hub({})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(hub)) as server:
        hub.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield hub
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of the small network."""
    path = tmp_path_factory.mktemp("page") / "model.safetensors"
    save_file(
        {name: each.contiguous() for name, each in Maggie(maggie.SMALL_IMAGE.settings).state_dict().items()}, path
    )
    return path


@pytest.fixture
def hub(served: Hub, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub with the page of a small model, as the only hub that the library knows; an empty models folder."""
    served.pages = {"someone/small": weights}
    served.breaks, served.asked, served.stated = [], [], ""
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, name)  # it reads the address of the hub when it is imported
    for name, value in surroundings(served, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)  # what a broken line leaves is whole
    return served


def surroundings(hub: Hub, folder: Path) -> dict[str, str]:
    return {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "MATTE_MODELS": str(folder / "models"),
    }


def small() -> maggie.MaggieModel:
    """The small model as one whose weights lie on the hub."""
    card = maggie.SMALL_IMAGE.card
    assert card.weights is not None
    weights = replace(card.weights, file="elsewhere.safetensors", sha256="", repository="someone/small")
    return replace(maggie.SMALL_IMAGE, card=replace(card, name="elsewhere", weights=weights))


def test_a_line_that_breaks_off_is_taken_up_where_it_broke(hub: Hub) -> None:
    hub.breaks = [1_000_000]
    path = fetch(small())
    assert path.read_bytes() == hub.pages["someone/small"].read_bytes() and find(small().card) == path
    assert hub.asked == ["", "bytes=1000000-"]
    assert sorted(file.name for file in models_folder().iterdir()) == ["elsewhere.json", "elsewhere.safetensors"]


def test_a_line_that_stays_broken_is_one_sentence_and_what_was_there_stays(hub: Hub) -> None:
    kept = fetch(small())
    hub.breaks, hub.asked = [500_000, *[0] * 20], []
    with pytest.raises(ModelError, match=r"someone/small cannot be fetched: .*--from FILE"):
        fetch(small())
    assert hub.asked[:2] == ["", "bytes=500000-"] and find(small().card) == kept
    assert sorted(file.name for file in models_folder().iterdir()) == ["elsewhere.json", "elsewhere.safetensors"]


def test_a_file_that_is_not_the_one_its_page_states_is_refused_and_brought_anew(hub: Hub) -> None:
    hub.stated = "0" * 64
    with pytest.raises(ModelError, match=r"is not the file its page states \(sha256 .*, stated 000000000000…\)"):
        fetch(small())
    assert not any(models_folder().iterdir())
    hub.stated, hub.asked = "", []
    fetch(small())
    assert hub.asked == [""]


def test_weights_of_another_network_and_a_page_that_is_gone_leave_nothing_behind(hub: Hub, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    hub.pages = {"someone/small": tmp_path / "other.safetensors"}
    with pytest.raises(ModelError, match="does not hold the weights of this network"):
        fetch(small())
    hub.pages = {}
    with pytest.raises(ModelError, match="someone/small cannot be fetched"):
        fetch(small())
    assert [file for file in models_folder().iterdir() if file.suffix == ".safetensors"] == []


@pytest.mark.parametrize("chosen", [maggie.IMAGE, maggie.VIDEO], ids=["maggie-image", "maggie-video"])
def test_the_command_brings_the_published_form_once_it_is_confirmed(
    hub: Hub, tmp_path: Path, chosen: maggie.MaggieModel
) -> None:
    torch.manual_seed(0)
    tensors = {name: tensor.contiguous() for name, tensor in Maggie(chosen.settings).state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors")
    weights = chosen.card.weights
    assert weights is not None
    hub.pages = {weights.repository: tmp_path / "model.safetensors"}
    assert abs((tmp_path / "model.safetensors").stat().st_size / 1e6 - weights.megabytes) < 0.1
    command = [sys.executable, "-m", "matte_core", "weights", "fetch", chosen.card.name]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **surroundings(hub, tmp_path)}
        return subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    refused = run()
    said = " ".join(refused.stderr.split())
    assert refused.returncode == 2 and "CC BY-NC 4.0" in said and "--non-commercial" in said and not hub.asked
    fetched = run("--non-commercial")
    assert fetched.returncode == 0, fetched.stderr
    path = find(chosen.card)
    assert path is not None and path.read_bytes() == (tmp_path / "model.safetensors").read_bytes()
