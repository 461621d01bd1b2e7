"""What Studio adds to ComfyUI's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .editor import Editor

pytestmark = pytest.mark.browser


@pytest.fixture
def studio(editor: Editor) -> Editor:
    if "host" not in editor.get("/system_stats")["system"]:
        pytest.skip("this is ComfyUI itself")
    return editor


def test_it_starts_with_a_workflow_that_it_can_run(studio: Editor) -> None:
    studio.tell("() => { void window.app.loadGraphData(); }")
    studio.page.wait_for_function("window.app.graph._nodes.some((node) => node.type === 'MatteWriteSequence')")
    assert studio.missing() == []


def test_the_title_says_what_it_is(studio: Editor) -> None:
    assert studio.page.title().endswith("Matte Studio")


def test_the_page_cannot_reach_any_other_server(studio: Editor) -> None:
    script = """() => new Promise((said) => {
      document.addEventListener("securitypolicyviolation", (event) => said(event.blockedURI), { once: true });
      void fetch("https://example.org").catch(() => null);
    })"""
    assert str(studio.tell(script)).startswith("https://example.org")
