"""What the Comfy registry and a ComfyUI install ask of the pack."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GUESTS = ("torch", "numpy", "opencv-python")  # libraries that ComfyUI itself or other packs bring


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_both_lists_of_requirements_are_the_same_and_pin_nothing_that_others_need() -> None:
    assert sorted(requirements()) == sorted(PROJECT["project"]["dependencies"])
    extras = [line for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]
    for line in [*requirements(), *extras]:
        name, bound = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?(.*)", line).groups()  # type: ignore[union-attr]
        assert name.lower() not in GUESTS or not re.search(r"==|<|~=|!=", bound), line
    assert not {"torchvision", "torchaudio", "opencv-python-headless", "opencv-contrib-python"} & set(requirements())


def test_the_metadata_is_what_the_registry_reads() -> None:
    project, comfy = PROJECT["project"], PROJECT["tool"]["comfy"]
    assert re.fullmatch(r"[a-zA-Z][\w.-]{1,98}", project["name"]) and "comfyui" not in project["name"].lower()
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["urls"]["Repository"].startswith("https://github.com/")
    assert comfy["PublisherId"] and comfy["DisplayName"] == "Matte" and comfy["requires-comfyui"]
    for picture in ("Icon", "Banner"):
        address = comfy[picture]
        assert address.startswith(project["urls"]["Repository"].replace("github.com", "raw.githubusercontent.com"))
        assert (ROOT / address.partition("/main/")[2]).is_file()


def test_the_icon_is_a_png_of_at_most_400_pixels() -> None:
    content = (ROOT / "docs" / "icon.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert max(struct.unpack(">II", content[16:24])) <= 400


def test_the_registrys_own_checks_pass() -> None:
    """`comfy node validate` asks ruff for these."""
    command = [sys.executable, "-m", "ruff", "check", str(ROOT), "--select", "S102,S307,E702", "--isolated"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_archive_holds_what_a_person_needs_and_no_more() -> None:
    """As the registry's tool packs it: what git knows, less .comfyignore."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no checkout")
    ignored = subprocess.run(
        ["git", "-c", f"core.excludesFile={ROOT / '.comfyignore'}", "ls-files", "-ci", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    packed = set(listed.stdout.splitlines()) - set(ignored.stdout.splitlines())
    for needed in ("__init__.py", "install.py", "requirements.txt", "LICENSE", "web/docs/MatteOver.jpg"):
        assert needed in packed
    assert {"workflows/mask_to_matte.jpg", "locales/en/nodeDefs.json", "samples/screen/mask.1001.png"} <= packed
    assert not [name for name in packed if name.startswith(("tests/", "scripts/", "docs/", "temp/", "output/"))]
    assert not [name for name in packed if name.endswith((".pyc", ".pt", ".pth", ".ckpt", ".bin", ".pkl"))]
    assert sum((ROOT / name).stat().st_size for name in packed if (ROOT / name).is_file()) < 32_000_000
