"""A person looks at a shot in the Matte Viewer: scrubs, changes the look, reads values, wipes, looks closer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from matte_core.pull import frames
from matte_core.sources import matte_source, plate_source

if TYPE_CHECKING:
    from .editor import Editor

pytestmark = pytest.mark.browser
SAMPLES = Path(__file__).parents[2] / "samples" / "plate"
VIEWER = "window.app.graph._nodes.find((node) => node.type === 'MatteViewer')"
CONNECT = """([from, to, input]) => {
  const find = (id) => window.app.graph._nodes.find((node) => String(node.id) === id);
  find(from).connect(0, find(to), find(to).inputs.findIndex((one) => one.name === input));
}"""
ON_CANVAS = f"""([x, y]) => {{
  const viewer = {VIEWER}.matteViewer, seen = viewer.seen(), part = viewer.region();
  const u = (x + 0.5 - part.x) / part.width, v = (y + 0.5 - part.y) / part.height;
  return [seen.left + u * seen.width, seen.top + v * seen.height];
}}"""
WHERE = f"""(pixel) => {{
  const {{ canvas }} = {VIEWER}.matteViewer, box = canvas.getBoundingClientRect(), [x, y] = ({ON_CANVAS})(pixel);
  return [box.left + (x / canvas.width) * box.width, box.top + (y / canvas.height) * box.height];
}}"""
SHOWN = f"""(pixel) => {{
  const context = {VIEWER}.matteViewer.canvas.getContext("2d");
  return [...context.getImageData(...({ON_CANVAS})(pixel), 1, 1).data].slice(0, 3);
}}"""
READ = """(place) => {
  const cells = [...document.querySelectorAll(".matte-viewer .values span")];
  return cells.some((cell) => cell.textContent.includes(place)) &&
    cells.filter((cell) => cell.title).map((cell) => cell.title.split(" = "));
}"""
# Tab by tab: which one is "previous" differs between front ends once several are open.
COME_BACK = """async (path) => {
  const { command, workflow } = app.extensionManager;
  for (let tab = 0; tab < 100 && workflow.activeWorkflow.path !== path; tab += 1)
    await command.execute('Workspace.PreviousOpenedWorkflow');
}"""
# Whether the page lost what a run had given to the tab's nodes; it may come a moment after the graph.
FORGOTTEN = f"""async () => {{
  const given = () => app.nodeOutputs?.[{VIEWER}.id]?.matte_view;
  for (let wait = 0; wait < 30 && !given(); wait += 1) await new Promise((done) => setTimeout(done, 100));
  return !given();
}}"""
SAVED = "() => JSON.parse(JSON.stringify(window.app.graph.serialize()))"
SETTLED = f"() => {{ const viewer = {VIEWER}.matteViewer; return viewer.pictures.length && !viewer.showing.busy; }}"


class Viewer:
    """The viewer of the bundled plate, its true matte, and the rough mask to compare with."""

    def __init__(self, editor: Editor) -> None:
        self.editor, self.page = editor, editor.page
        self.root = editor.page.locator(".matte-viewer")
        sources = [
            editor.add(kind, 40, 60 + 280 * i) for i, kind in enumerate(["MatteReadPlate", *["MatteReadMatte"] * 2])
        ]
        for node, name in zip(sources, ("plate.####.exr", "truth.####.exr", "mask.####.png"), strict=True):
            editor.set(node, "path", f"plate/{name}")
        self.node = editor.add("MatteViewer", 480, 60)
        for source, name in zip(sources, ("plate", "matte", "compare_matte"), strict=True):
            editor.tell(CONNECT, [source, self.node, name])

    def run(self) -> None:
        assert self.editor.run()[0] == "execution_success"
        self.settled()

    def settled(self) -> None:
        self.page.wait_for_function(SETTLED)

    def press(self, button: str) -> None:
        self.root.locator(f"button[name={button}]").click()
        self.settled()

    def shown(self, x: int, y: int) -> list[int]:
        """Colour on the canvas where a pixel of the frame is."""
        return list(self.editor.tell(SHOWN, [x, y]))

    def point(self, x: int, y: int) -> None:
        """Puts the mouse on a pixel of the frame."""
        self.page.mouse.move(*self.editor.tell(WHERE, [x, y]))

    def values(self, x: int, y: int) -> list[tuple[str, float]]:
        """Channels and values that are read out at a pixel of the frame, in full, from top left to bottom right."""
        self.point(x, y)
        told = self.page.wait_for_function(READ, arg=f"x {x}  y {y}").json_value()
        return [(name, float(value)) for name, value in told]


@pytest.fixture
def viewer(editor: Editor) -> Viewer:
    made = Viewer(editor)
    editor.page.wait_for_function(f"{VIEWER}.matteViewer.stage.clientHeight > 0")
    return made


def true_frame(number: int) -> tuple[Any, Any]:
    """Plate (3, H, W) and alpha (H, W) over the display window, as the files have them."""
    plate = plate_source(str(SAMPLES / "plate.####.exr"), str(number))
    (frame,) = frames(plate)
    (matte,) = frames(matte_source(str(SAMPLES / "truth.####.exr"), frames=str(number)))
    display = plate.header.display

    def cut(one: Any) -> Any:
        left, top = display.x - one.header.data.x, display.y - one.header.data.y
        return one.pixels[:, top : top + display.height, left : left + display.width]

    return cut(frame), cut(matte)[0]


def test_before_a_run_it_says_what_to_do(viewer: Viewer) -> None:
    assert viewer.root.get_by_role("status").inner_text() == "Run the workflow to look at the shot."


def test_frames_are_scrubbed_with_slider_buttons_keys_and_numbers(viewer: Viewer) -> None:
    viewer.run()
    number = viewer.root.locator("input[name=frame]")
    assert number.input_value() == "1001"
    asked: list[str] = []
    viewer.page.on("request", lambda request: asked.append(request.url) if "/picture" in request.url else None)
    viewer.press("next")
    assert number.input_value() == "1002"
    viewer.root.locator("input[name=frames]").fill("4")
    viewer.settled()
    assert number.input_value() == "1005"
    viewer.root.locator(".stage").click()
    viewer.page.keyboard.press("End")
    viewer.page.keyboard.press("ArrowLeft")
    assert number.input_value() == "1007"
    number.fill("1003")
    number.press("Enter")
    viewer.settled()
    assert number.input_value() == "1003"
    assert "frame=1003" in asked[-1] and len(asked) <= 5


def test_each_look_shows_the_frame_in_its_way(viewer: Viewer) -> None:
    viewer.run()
    _, alpha = true_frame(1001)
    inside = [int(place) for place in np.argwhere(alpha[5:-5, 5:-5] == 1)[1000] + 5]
    outside = [int(place) for place in np.argwhere(alpha[5:-5, 5:-5] == 0)[100] + 5]
    seen = {}
    for look in ("rgb", "alpha", "overlay", "checker", "grey", "colour"):
        viewer.press(look)
        seen[look] = viewer.shown(*inside[::-1]), viewer.shown(*outside[::-1])
    assert seen["alpha"] == ([255, 255, 255], [0, 0, 0])
    assert seen["rgb"][0] == seen["grey"][0] == seen["colour"][0] == seen["checker"][0] != seen["overlay"][0]
    assert np.allclose(seen["grey"][1], 118, atol=1)
    assert np.allclose(seen["colour"][1], (0x1F, 0x8F, 0x3A), atol=1)
    assert seen["overlay"][1] == seen["rgb"][1]
    assert viewer.root.locator("button[name=foreground]").is_disabled()


@pytest.mark.parametrize("zoom", [1.0, 0.6])
def test_the_values_under_the_cursor_are_the_files_own(viewer: Viewer, zoom: float) -> None:
    viewer.run()
    viewer.editor.tell("(zoom) => { app.canvas.ds.scale = zoom; app.canvas.setDirty(true, true); }", zoom)
    viewer.page.wait_for_timeout(600)
    plate, alpha = true_frame(1001)
    brightest = np.unravel_index(plate[0].argmax(), alpha.shape)
    half = np.argwhere((alpha > 0.3) & (alpha < 0.7))[7]
    for row, column in (brightest, half):
        told = viewer.values(int(column), int(row))
        own = [*zip("RGB", plate[:, row, column].tolist(), strict=True), ("A", float(alpha[row, column]))]
        assert told[:4] == own
    assert plate.max() > 40


def test_exposure_is_for_looking_only(viewer: Viewer) -> None:
    viewer.run()
    viewer.press("rgb")
    plate, _ = true_frame(1001)
    row, column = (int(place) for place in np.unravel_index(plate[0].argmax(), plate[0].shape))
    before, prompt = viewer.values(column, row), viewer.editor.prompt()
    assert viewer.shown(column, row)[0] > 250
    viewer.root.locator("input[name=exposure]").fill("-7")
    viewer.settled()
    assert viewer.shown(column, row)[0] < 200
    assert (viewer.values(column, row), viewer.editor.prompt()) == (before, prompt)
    viewer.press("reset")
    assert viewer.shown(column, row)[0] > 250


def test_the_wipe_is_dragged_between_a_and_b(viewer: Viewer) -> None:
    viewer.run()
    viewer.press("alpha")
    viewer.press("wipe")
    _, alpha = true_frame(1001)
    (mask,) = frames(matte_source(str(SAMPLES / "mask.####.png"), frames="1001"))
    only_b = (alpha == 0) & (mask.pixels[0][-alpha.shape[0] :, -alpha.shape[1] :] == 1)
    row, column = next((int(r), int(c)) for r, c in np.argwhere(only_b) if only_b[r - 2 : r + 3, c - 2 : c + 3].all())
    for to, expected in ((column + 60, 0), (column - 60, 255)):
        viewer.point(240 if to > column else column + 60, row)
        viewer.page.mouse.down()
        viewer.point(to, row)
        viewer.page.mouse.up()
        assert viewer.shown(column, row)[0] == expected


def test_the_wheel_looks_closer_once_the_viewer_was_clicked_and_pixels_stay_where_they_are(viewer: Viewer) -> None:
    viewer.run()
    viewer.press("alpha")
    _, alpha = true_frame(1001)
    row, column = (int(place) for place in np.argwhere((alpha > 0.3) & (alpha < 0.7))[7])
    viewer.point(column, row)
    viewer.page.mouse.down()
    viewer.page.mouse.up()
    for _ in range(12):
        viewer.page.mouse.wheel(0, -100)
    viewer.page.wait_for_function(f"{VIEWER}.matteViewer.region().width === 30")
    viewer.settled()
    for y, x in ((row, column), (row + 2, column - 3)):
        assert viewer.values(x, y)[3] == ("A", float(alpha[y, x]))
        assert viewer.shown(x, y) == [round(255 * float(alpha[y, x]))] * 3
    viewer.page.keyboard.press("f")
    viewer.page.wait_for_function(f"{VIEWER}.matteViewer.region().width === 480")


def test_the_look_is_saved_and_scrubbing_changes_nothing_that_is_saved_or_run(viewer: Viewer) -> None:
    viewer.run()
    viewer.press("overlay")
    saved, prompt = viewer.editor.tell(SAVED), viewer.editor.prompt()
    viewer.press("next")
    viewer.root.locator("input[name=exposure]").fill("2")
    assert (viewer.editor.tell(SAVED), viewer.editor.prompt()) == (saved, prompt)
    assert set(prompt[viewer.node]["inputs"]) == {"plate", "matte", "compare_matte"}
    viewer.editor.clear()
    viewer.editor.drop(saved)
    assert viewer.root.locator("button[name=overlay]").get_attribute("aria-pressed") == "true"


def test_who_comes_back_to_a_workflow_sees_it_as_it_was_left(viewer: Viewer) -> None:
    viewer.run()
    viewer.press("alpha")
    viewer.press("next")
    left = viewer.editor.tell("() => app.extensionManager.workflow.activeWorkflow.path")
    viewer.editor.clear()
    viewer.editor.tell(COME_BACK, left)
    viewer.page.wait_for_function(f"{VIEWER}?.matteViewer")
    if viewer.editor.tell(FORGOTTEN):  # old front ends with several tabs open: looked at again after a run
        assert viewer.root.get_by_role("status").inner_text() == "Run the workflow to look at the shot."
        viewer.run()
    viewer.page.wait_for_function(f"{VIEWER}.matteViewer.pictures.length > 0")
    assert viewer.root.locator("input[name=frame]").input_value() == "1002"
    assert viewer.root.locator("button[name=alpha]").get_attribute("aria-pressed") == "true"


def test_no_request_of_the_viewer_made_the_server_fail(page: Editor) -> None:
    assert page.failed == []
