"""What ComfyUI's managers run: says what is missing, makes the models folder, can run again and again."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def install() -> Any:
    spec = importlib.util.spec_from_file_location("install_script", Path(__file__).parents[1] / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "folder_paths.py").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    return tmp_path


def test_it_makes_the_models_folder_and_may_run_again(install: Any, comfyui: Path) -> None:
    assert [install.main([]), install.main([])] == [0, 0]
    assert (comfyui / "models" / "matte").is_dir()


def test_outside_comfyui_it_makes_no_folder(install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert install.main([]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_as_one_installs_it(
    install: Any, comfyui: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(install.NEEDED, "no_such_module", "no-such-library")
    with caplog.at_level(logging.INFO):
        assert install.main([]) == 1
    assert "no-such-library. Run: pip install -r requirements.txt" in caplog.text


def test_weights_of_a_model_that_is_not_there_are_one_sentence(
    install: Any, comfyui: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert install.main(["no-such-model"]) == 4
    assert "there is no model 'no-such-model'" in caplog.text


def test_a_folder_that_cannot_be_made_is_said_and_is_no_failure(
    install: Any, comfyui: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (comfyui / "models").touch()
    with caplog.at_level(logging.INFO):
        assert install.main([]) == 0
    assert "cannot be made" in caplog.text
