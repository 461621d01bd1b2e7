"""The page as a person uses it: search, drag, drop, run, stop, save."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = "window.app?.extensionManager && window.app?.graph && window.__COMFYUI_FRONTEND_VERSION__"
SEARCH_BOX = "input[placeholder='Add a node...'], input[placeholder='Search Nodes...']"
ENDS = ["execution_success", "execution_error", "execution_interrupted"]
RUN = """
([ends, pressed]) => {
  const heard = window.heard = { events: [], end: null };
  for (const name of ["execution_start", "executing", "progress", "executed", ...ends]) {
    const hear = (event) => {
      heard.events.push([name, event.detail]);
      if (ends.includes(name)) { heard.end = [name, event.detail]; }
    };
    window.app.api.addEventListener(name, hear);
    (window.listening ??= []).push([name, hear]);
  }
}
"""
DEAF = """() => {
  for (const [name, hear] of window.listening ?? []) { window.app.api.removeEventListener(name, hear); }
  window.listening = [];
}"""
DROP = "async ([text, name]) => { await window.app.handleFile(new File([text], name, { type: 'application/json' })); }"
SOCKETS = """
([from, slot, to, input]) => {
  const find = (id) => window.app.graph._nodes.find((node) => String(node.id) === String(id));
  const { ds, canvas } = window.app.canvas, box = canvas.getBoundingClientRect();
  const target = find(to), place = target.inputs.findIndex((one) => one.name === input);
  const there = (at) => [(at[0] + ds.offset[0]) * ds.scale + box.left, (at[1] + ds.offset[1]) * ds.scale + box.top];
  return [there(find(from).getOutputPos(slot)), there(target.getInputPos(place))];
}
"""


class Editor:
    """One browser window with ComfyUI's page in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.failed: list[str] = []
        page.on("response", lambda answer: self.failed.append(answer.url) if answer.status >= 500 else None)

    def open(self) -> None:
        """Opens the page and waits until it can be used."""
        self.page.goto(self.address, wait_until="domcontentloaded", timeout=120_000)
        self.page.wait_for_function(READY, timeout=300_000)
        self.page.wait_for_function("window.app.graph._nodes.length > 0", timeout=60_000)
        self.page.wait_for_timeout(1_500)  # the page still places its panels

    def tell(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def get(self, path: str) -> Any:
        """What the server answers."""
        return self.page.request.get(self.address + path).json()

    def clear(self) -> None:
        """An empty canvas without a dialog over it."""
        closing = self.page.locator(".p-dialog .p-dialog-close-button").filter(visible=True)
        while closing.count():
            closing.first.click()
            self.page.wait_for_timeout(500)
        self.tell("() => window.app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
        self.page.wait_for_function("window.app.graph._nodes.length === 0")
        self.tell("() => window.app.canvas.ds.reset()")

    def drop(self, workflow: dict[str, Any], name: str = "dropped.json") -> None:
        """What happens when a file is dropped on the canvas."""
        self.tell(DROP, [json.dumps(workflow), name])
        wanted = len(workflow["nodes"])
        self.page.wait_for_function(f"window.app.graph._nodes.length === {wanted}", timeout=20_000)

    def search(self, text: str) -> None:
        """Double-clicks the canvas, types, takes the first node that is offered."""
        place, before = self.page.locator("#graph-canvas").bounding_box(), len(self.types())
        assert place is not None
        box = self.page.locator(SEARCH_BOX).filter(visible=True).first
        self.page.mouse.dblclick(place["x"] + 700, place["y"] + 500)
        box.fill(text)
        self.page.wait_for_timeout(700)  # the list follows the typing
        self.page.keyboard.press("Enter")
        self.page.wait_for_function(f"window.app.graph._nodes.length === {before + 1}")
        self.page.mouse.click(place["x"] + 700, place["y"] + 500)  # newer pages let the node hang on the mouse

    def add(self, name: str, x: int, y: int) -> str:
        """A node at a place; its id."""
        script = """([name, x, y]) => { const node = LiteGraph.createNode(name); node.pos = [x, y];
          window.app.graph.add(node); window.app.canvas.setDirty(true, true); return String(node.id); }"""
        return str(self.tell(script, [name, x, y]))

    def set(self, node: str, widget: str, value: Any) -> None:
        """Types a value into a widget of a node (an id, or a type there is one of)."""
        script = """([node, widget, value]) => { const found = window.app.graph._nodes.find((one) =>
          String(one.id) === node || one.type === node).widgets.find((one) => one.name === widget);
          found.value = value; found.callback?.(value); }"""
        self.tell(script, [node, widget, value])

    def types(self) -> list[str]:
        return list(self.tell("window.app.graph._nodes.map((node) => node.type)"))

    def missing(self) -> list[str]:
        """Types on the canvas that the page has no node for."""
        script = """window.app.graph._nodes.map((node) => node.type).filter((type) =>
          !(type in LiteGraph.registered_node_types))"""
        return list(self.tell(script))

    def prompt(self) -> dict[str, Any]:
        """The API form of what is on the canvas."""
        return dict(self.tell("async () => (await window.app.graphToPrompt()).output"))

    def link(self, source: str, slot: int, target: str, name: str, most: int = 3) -> None:
        """Drags a link with the mouse from an output to an input, again if the page swallowed the press.

        Front end 1.58.1 does so now and then just after a new graph was opened.
        """
        for _ in range(most):
            self._drag(source, slot, target, name)
            if name in self.prompt()[target]["inputs"]:
                return

    def _drag(self, source: str, slot: int, target: str, name: str) -> None:
        self.page.wait_for_timeout(400)
        self.drawn()
        start, end = self.tell(SOCKETS, [source, slot, target, name])
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, start[1] + 40, steps=8)
        mouse.move(*end, steps=8)
        self.drawn()  # a slow page sees the socket under the mouse only when it draws
        mouse.up()
        self.page.wait_for_timeout(300)

    def drawn(self) -> None:
        """Waits until the canvas has been drawn twice."""
        self.tell("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def listen(self) -> None:
        self.tell(DEAF)
        self.tell(RUN, [ENDS, None])

    def press_run(self) -> None:
        self.page.get_by_test_id("queue-button").first.get_by_role("button", name="Run").or_(
            self.page.get_by_test_id("queue-button").and_(self.page.get_by_role("button"))
        ).first.click()

    def wait_for_progress(self) -> None:
        self.page.wait_for_function("window.heard.events.some((event) => event[0] === 'progress')", timeout=60_000)

    def ending(self, seconds: int = 120) -> tuple[str, dict[str, Any]]:
        """How the run ended."""
        self.page.wait_for_function("window.heard.end !== null", timeout=seconds * 1000)
        name, detail = self.tell("window.heard.end")
        return str(name), dict(detail)

    def heard(self, name: str) -> list[Any]:
        return [detail for event, detail in self.tell("window.heard.events") if event == name]

    def run(self) -> tuple[str, dict[str, Any]]:
        """Queues what is on the canvas; how it ended."""
        self.listen()
        self.tell("() => { void window.app.queuePrompt(0, 1); }")
        return self.ending()

    def is_red(self, node: str) -> bool:
        """Whether the node is drawn with the frame of an error."""
        script = """(id) => {
          const node = window.app.graph._nodes.find((one) => String(one.id) === id);
          const styles = Object.entries(node.strokeStyles);
          return styles.some(([name, style]) => name.endsWith("Error") && style.call(node));
        }"""
        return bool(self.tell(script, node))

    def save_as(self, name: str) -> None:
        """Saves the workflow under a name, as Ctrl+S does."""
        self.page.mouse.click(300, 850)  # the page notes changes when the mouse or a key is let go
        self.tell("() => { void window.app.extensionManager.command.execute('Comfy.SaveWorkflowAs'); }")
        box = self.page.locator("[role=dialog] input[type=text], .p-dialog input").filter(visible=True).first
        box.fill(name)
        with self.page.expect_response(lambda answer: "/userdata/" in answer.url and answer.request.method == "POST"):
            box.press("Enter")

    def previews(self, name: str, count: int) -> None:
        """Waits until a node of a type shows so many pictures."""
        script = """([name, count]) => { window.app.canvas.setDirty(true, true);
          const node = window.app.graph._nodes.find((one) => one.type === name);
          return node?.imgs?.length === count && node.imgs.every((image) => image.naturalWidth > 0); }"""
        self.page.wait_for_function(script, arg=[name, count], timeout=20_000)


@contextmanager
def opened(address: str, browser: str, profile: Path) -> Iterator[Editor]:
    """The page in a fresh browser that can reach its own server and nothing else."""

    def only_the_host(route: Route) -> None:
        asked, own = urlsplit(route.request.url), urlsplit(address)
        if asked.scheme in ("data", "blob") or asked.netloc == own.netloc:
            route.continue_()
        else:
            route.abort()

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path=browser,
            headless=True,
            args=FLAGS,
            viewport={"width": 1400, "height": 900},
        )
        try:
            page = context.pages[0]
            page.set_default_timeout(20_000)
            page.route("**/*", only_the_host)
            # no dialog of first steps over the canvas
            page.request.post(
                f"{address}/api/settings/Comfy.TutorialCompleted",
                data="true",
                headers={"Content-Type": "application/json"},
            )
            editor = Editor(page, address)
            editor.open()
            yield editor
        finally:
            context.close()
