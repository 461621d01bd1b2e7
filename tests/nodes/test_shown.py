"""What ComfyUI shows of the pack: help pages with pictures, locales and workflows are in step with the nodes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

MOST_BYTES = 1_500_000


def generated(script: str, folder: Path) -> None:
    pytest.importorskip("PIL")
    command = [sys.executable, str(ROOT / "scripts" / script), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scripts write today."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "workflows").mkdir()
    generated("make_node_docs.py", folder)
    generated("make_workflows.py", folder / "workflows")
    return folder


@pytest.mark.parametrize("part", ["web/docs", "locales", "workflows"])
def test_what_is_generated_is_in_step(made: Path, part: str) -> None:
    """Where this fails, run scripts/make_node_docs.py and scripts/make_workflows.py."""
    for suffix in (".md", ".json"):
        wanted = {file.relative_to(made / part): file.read_text() for file in (made / part).rglob(f"*{suffix}")}
        there = {file.relative_to(ROOT / part): file.read_text() for file in (ROOT / part).rglob(f"*{suffix}")}
        assert there.keys() == wanted.keys()
        assert [name for name in wanted if there[name] != wanted[name]] == []


def test_every_help_page_has_its_picture_and_they_are_small() -> None:
    """Where this fails, run scripts/make_node_docs.py --pictures NODE and look at the picture."""
    pages = {page.stem: page.read_text() for page in (ROOT / "web" / "docs").glob("*.md")}
    pictures = {picture.stem: picture.stat().st_size for picture in (ROOT / "web" / "docs").glob("*.jpg")}
    assert pictures.keys() == pages.keys()
    assert all(f"({name}.jpg)" in page for name, page in pages.items())
    assert sum(pictures.values()) < MOST_BYTES


def test_the_locale_names_every_input_and_output_and_quotes_what_the_page_would_read_as_its_own(load: Any) -> None:
    mappings = load("mappings")
    words = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    assert words.keys() == mappings.NODE_CLASS_MAPPINGS.keys()
    for name, node in mappings.NODE_CLASS_MAPPINGS.items():
        inputs = {key for group in node.INPUT_TYPES().values() for key in group}
        assert words[name]["inputs"].keys() == inputs
        assert len(words[name]["outputs"]) == len(node.RETURN_TYPES)
    texts = re.findall(r'": "(.*)"', (ROOT / "locales" / "en" / "nodeDefs.json").read_text(encoding="utf-8"))
    assert not [text for text in texts if re.search(r"[{}@|]", re.sub(r"\{'.'\}", "", text))]
    main = json.loads((ROOT / "locales" / "en" / "main.json").read_text(encoding="utf-8"))
    categories = {part for node in mappings.NODE_CLASS_MAPPINGS.values() for part in node.CATEGORY.split("/")}
    assert main["nodeCategories"].keys() == categories


def test_every_node_is_found_by_other_words_than_its_title(load: Any) -> None:
    mappings = load("mappings")
    for name, node in mappings.NODE_CLASS_MAPPINGS.items():
        aliases = list(node.SEARCH_ALIASES)
        assert len(aliases) >= 2 and len(set(aliases)) == len(aliases), name
