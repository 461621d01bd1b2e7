// The Matte Viewer's part of the page. The server draws what is asked for; this asks for no more than is looked at.
import { app } from "../../scripts/app.js";

const NODE = "MatteViewer";
const LOOKS = {
  rgb: ["RGB", "The plate (1)"],
  alpha: ["Alpha", "The matte as grey, 1 = opaque (2)"],
  overlay: ["Overlay", "The matte as a tint over the plate, a colour for each layer (3)"],
  checker: ["Checker", "The subject over a checker, in linear light (4)"],
  grey: ["Grey", "The subject over 18 % grey, in linear light (5)"],
  colour: ["Colour", "The subject over a colour of your choice, in linear light (6)"],
  foreground: ["FG", "The foreground without the matte (7)"],
};
const SETTINGS = { look: "", frame: null, exposure: 0, gamma: 1, colour: "#1f8f3a", layer: "", wipe: false, wipe_at: 0.5 };
const SHARP = 2; // the canvas has so many pixels for one of the page, for graphs that are zoomed in
const PATIENCE = 300; // milliseconds after which a newer wish stops the picture that is under way
const STYLE = `
.matte-viewer { display: flex; flex-direction: column; gap: 5px; box-sizing: border-box; height: 100%; outline: none;
  font: 12px/1.3 system-ui, sans-serif; color: var(--input-text, #ddd); user-select: none; }
.matte-viewer .row { display: flex; align-items: center; gap: 5px; }
.matte-viewer button, .matte-viewer input, .matte-viewer select { font: inherit; color: inherit; accent-color: #3a9bd9; }
.matte-viewer button, .matte-viewer input[type=number], .matte-viewer select { padding: 2px 6px; border-radius: 4px;
  border: 1px solid var(--border-color, #555); background: var(--comfy-input-bg, #222); }
.matte-viewer button { cursor: pointer; }
.matte-viewer button:disabled { opacity: 0.35; cursor: default; }
.matte-viewer button[aria-pressed=true] { background: #2c6f9e; border-color: #3a9bd9; color: #fff; }
.matte-viewer :focus-visible { outline: 2px solid #3a9bd9; outline-offset: 1px; }
.matte-viewer input[type=range] { flex: 1; min-width: 30px; }
.matte-viewer input[type=number] { width: 70px; }
.matte-viewer input[type=color] { width: 26px; height: 22px; padding: 0; border: 0; background: none; cursor: pointer; }
.matte-viewer .space { flex: 1; }
.matte-viewer .number { width: 34px; text-align: right; font-variant-numeric: tabular-nums; }
.matte-viewer .stage { position: relative; flex: 1; min-height: 120px; overflow: hidden; border-radius: 4px;
  background: #101010; cursor: crosshair; touch-action: none; }
.matte-viewer canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.matte-viewer .said { position: absolute; inset: auto 0 0 0; padding: 6px 10px; background: #000b; color: #eee; }
.matte-viewer .said:empty { display: none; }
.matte-viewer .said.wrong { background: #601818e8; }
.matte-viewer .values { display: grid; grid-template-columns: max-content repeat(4, 1fr) max-content; column-gap: 10px;
  min-height: 48px; align-content: start; font: 11px/16px ui-monospace, monospace; }
.matte-viewer .values .r { color: #f08080; } .matte-viewer .values .g { color: #7fd37f; }
.matte-viewer .values .b { color: #8fb4ff; } .matte-viewer .values .dim { opacity: 0.65; }
`;

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Frame numbers of "1001-1100x2,1200". */
function framesOf(text) {
  return text.split(",").flatMap((piece) => {
    const [, first, last = first, step = 1] = piece.match(/^(-?\d+)(?:-(-?\d+))?(?:x(\d+))?$/);
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => +first + place * step);
  });
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

class Viewer {
  constructor(node) {
    this.node = node;
    this.view = null; // the server's token for what the last run gave to this node
    this.about = { frames: [], size: [16, 9], aspect: 1, looks: [], compare: [], layers: [], spaces: {} };
    this.pictures = [];
    this.zoom = { by: 1, x: 0.5, y: 0.5 }; // how much of the picture is seen, around which place of it
    this.build();
    this.listen();
    this.refresh();
    this.say("Run the workflow to look at the shot.");
  }

  get(name) {
    return this.node.properties[name] ?? SETTINGS[name];
  }

  set(name, value) {
    this.node.properties[name] = value; // saved with the workflow
    this.refresh();
    this.want();
  }

  // What is on the node

  build() {
    this.looks = Object.entries(LOOKS).map(([name, [label, title]]) =>
      make("button", { type: "button", textContent: label, title, name, onclick: () => this.set("look", name) }),
    );
    this.colour = make("input", { type: "color", title: "The colour behind the subject" });
    this.layer = make("select", { title: "Layer of the matte" });
    this.wipe = make("button", { type: "button", name: "wipe", textContent: "A|B" });
    this.canvas = make("canvas", { width: 1, height: 1 });
    this.said = make("div", { className: "said" });
    this.said.setAttribute("role", "status");
    this.stage = make("div", { className: "stage" }, this.canvas, this.said);
    this.back = make("button", { type: "button", name: "back", textContent: "◀", title: "One frame back (←)" });
    this.next = make("button", { type: "button", name: "next", textContent: "▶", title: "One frame on (→)" });
    this.slider = make("input", { type: "range", name: "frames", min: 0, max: 0, title: "Frame" });
    this.frame = make("input", { type: "number", name: "frame", title: "Frame number" });
    this.exposure = make("input", { type: "range", name: "exposure", min: -8, max: 8, step: 0.1 });
    this.gamma = make("input", { type: "range", name: "gamma", min: 0.2, max: 4, step: 0.05 });
    this.exposure.title = "Exposure in stops, for looking only";
    this.gamma.title = "Gamma, for looking only";
    this.stops = make("span", { className: "number" });
    this.power = make("span", { className: "number" });
    this.reset = make("button", { type: "button", name: "reset", textContent: "Reset" });
    this.reset.title = "Exposure, gamma and zoom as they were (0)";
    this.values = make("div", { className: "values", title: "The frames' own values under the cursor" });
    const space = make("span", { className: "space" });
    this.root = make(
      "div",
      { className: "matte-viewer", tabIndex: 0 },
      make("div", { className: "row" }, ...this.looks, this.colour, this.layer, space, this.wipe),
      this.stage,
      make("div", { className: "row" }, this.back, this.slider, this.next, this.frame),
      make("div", { className: "row" }, "Exposure", this.exposure, this.stops, "Gamma", this.gamma, this.power, this.reset),
      this.values,
    );
    for (const part of [this.slider, this.exposure, this.gamma, this.frame, this.colour, this.layer]) {
      part.setAttribute("aria-label", part.title);
    }
  }

  refresh() {
    const { frames, looks, layers, compare } = this.about;
    if (frames.length && !frames.includes(this.get("frame"))) this.node.properties.frame = frames[0];
    if (looks.length && !looks.includes(this.get("look"))) this.node.properties.look = looks[0];
    for (const button of this.looks) {
      button.setAttribute("aria-pressed", button.name === this.get("look"));
      button.disabled = this.view !== null && !looks.includes(button.name);
    }
    this.colour.hidden = this.get("look") !== "colour";
    this.colour.value = this.get("colour");
    this.layer.hidden = layers.length === 0;
    this.layer.replaceChildren(...["", ...layers].map((name) => new Option(name || "all layers", name)));
    this.layer.value = layers.includes(this.get("layer")) ? this.get("layer") : "";
    this.wipe.disabled = this.view !== null && compare.length === 0;
    this.wipe.setAttribute("aria-pressed", this.wiping());
    this.wipe.title = this.wipe.disabled
      ? "Connect a compare_plate or a compare_matte to wipe to it"
      : "Wipe between what is connected (A) and the compare inputs (B) (w)";
    this.slider.max = Math.max(frames.length - 1, 0);
    this.slider.value = Math.max(frames.indexOf(this.get("frame")), 0);
    this.frame.value = this.get("frame") ?? "";
    this.exposure.value = this.get("exposure");
    this.gamma.value = this.get("gamma");
    this.stops.textContent = (this.get("exposure") > 0 ? "+" : "") + (+this.get("exposure")).toFixed(1);
    this.power.textContent = (+this.get("gamma")).toFixed(2);
  }

  say(text, wrong = false) {
    this.said.textContent = text;
    this.said.classList.toggle("wrong", wrong);
  }

  wiping() {
    return this.get("wipe") && this.about.compare.length > 0;
  }

  // Hands on it

  listen() {
    const value = (name, part, read = Number) => part.addEventListener("input", () => this.set(name, read(part.value)));
    value("exposure", this.exposure);
    value("gamma", this.gamma);
    value("colour", this.colour, String);
    value("layer", this.layer, String);
    this.slider.addEventListener("input", () => this.set("frame", this.about.frames[this.slider.value]));
    this.frame.addEventListener("change", () => this.go(Number(this.frame.value)));
    this.back.addEventListener("click", () => this.step(-1));
    this.next.addEventListener("click", () => this.step(1));
    this.wipe.addEventListener("click", () => this.set("wipe", !this.get("wipe")));
    this.reset.addEventListener("click", () => this.plain());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", () => (this.held = null));
    this.stage.addEventListener("pointerleave", () => this.values.replaceChildren());
    this.stage.addEventListener("dblclick", () => this.fit());
    this.root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.stage);
  }

  /** The nearest frame that there is. */
  go(number) {
    const nearest = (best, one) => (Math.abs(one - number) < Math.abs(best - number) ? one : best);
    if (this.about.frames.length) this.set("frame", this.about.frames.reduce(nearest));
  }

  step(by) {
    const { frames } = this.about, place = frames.indexOf(this.get("frame")) + by;
    if (frames.length) this.set("frame", frames[clamp(place, 0, frames.length - 1)]);
  }

  plain() {
    this.node.properties.exposure = SETTINGS.exposure;
    this.node.properties.gamma = SETTINGS.gamma;
    this.fit();
    this.refresh();
  }

  fit() {
    this.zoom = { by: 1, x: 0.5, y: 0.5 };
    this.want();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select");
    const look = this.looks[event.key - 1];
    const keys = {
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      Home: () => this.step(-Infinity),
      End: () => this.step(Infinity),
      w: () => this.wipe.click(),
      f: () => this.fit(),
      0: () => this.plain(),
    };
    const action = look ? () => look.click() : keys[event.key];
    if (action && !typing) {
      event.preventDefault();
      action();
    }
    if (action || typing) event.stopPropagation(); // the graph has keys of its own
  }

  wheel(event) {
    event.preventDefault();
    if (!this.root.contains(document.activeElement)) {
      app.canvas.processMouseWheel(event); // the graph zooms until the viewer was clicked
      return;
    }
    event.stopPropagation();
    const at = this.place(event), longest = Math.max(...this.about.size);
    if (!at) return;
    const by = clamp(this.zoom.by * 2 ** (-event.deltaY / 300), 1, longest / 8), kept = this.zoom.by / by;
    this.zoom = this.inside(by, at.x + (this.zoom.x - at.x) * kept, at.y + (this.zoom.y - at.y) * kept);
    this.want();
  }

  inside(by, x, y) {
    return { by, x: clamp(x, 0.5 / by, 1 - 0.5 / by), y: clamp(y, 0.5 / by, 1 - 0.5 / by) };
  }

  down(event) {
    if (event.button === 1) app.canvas.processMouseDown(event); // the middle button moves the graph
    if (event.button !== 0) return;
    this.root.focus({ preventScroll: true });
    const at = this.place(event);
    if (!at) return;
    this.stage.setPointerCapture(event.pointerId);
    const near = Math.abs(at.u - this.get("wipe_at")) < 0.04;
    this.held = this.wiping() && (near || this.zoom.by === 1) ? { wipe: true } : { at, zoom: this.zoom };
    this.move(event);
  }

  move(event) {
    const at = this.place(event, this.held);
    if (this.held?.wipe) {
      this.node.properties.wipe_at = clamp(at.u, 0, 1);
      this.draw();
    } else if (this.held && this.zoom.by > 1) {
      const { at: from, zoom } = this.held;
      this.zoom = this.inside(zoom.by, zoom.x + (from.u - at.u) / zoom.by, zoom.y + (from.v - at.v) / zoom.by);
      this.want();
    }
    if (at && this.view) this.read(at);
  }

  /** Where the pointer is: u, v in what is seen, x, y in the picture, all 0..1; nothing beside the picture. */
  place(event, anywhere = false) {
    const box = this.canvas.getBoundingClientRect(), seen = this.seen(); // the box is as large as the graph's zoom makes it
    const u = (((event.clientX - box.left) / box.width) * this.canvas.width - seen.left) / seen.width;
    const v = (((event.clientY - box.top) / box.height) * this.canvas.height - seen.top) / seen.height;
    if (!anywhere && (u < 0 || v < 0 || u >= 1 || v >= 1)) return null;
    const part = this.region(), [wide, high] = this.about.size;
    return { u, v, x: (part.x + u * part.width) / wide, y: (part.y + v * part.height) / high };
  }

  // What the server is asked

  /** What a run gave to the node. */
  async open(view) {
    this.view = view;
    try {
      const about = await (await this.ask("about")).json();
      this.about = { ...about, frames: framesOf(about.frames) };
      this.refresh();
      this.want();
    } catch (error) {
      this.say(error.message, true);
    }
  }

  async ask(what, query = {}, signal = undefined) {
    const address = `/matte/viewer/${this.view}/${what}?${new URLSearchParams(query)}`;
    const answer = await app.api.fetchApi(address, { signal, cache: "no-store" });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
    throw Object.assign(new Error(told.error), { wait: answer.status === 409 });
  }

  /** What is looked at, as the server is asked for it. */
  asking(side) {
    const asked = { look: this.get("look"), frame: this.get("frame"), side, layer: this.layer.value };
    asked.exposure = this.get("exposure");
    asked.gamma = this.get("gamma");
    asked.background = this.get("colour");
    const region = this.region();
    if (this.zoom.by > 1) asked.region = [region.x, region.y, region.width, region.height].join();
    return asked;
  }

  /** The part of the picture that is seen, in its own pixels. */
  region() {
    const [width, height] = this.about.size, { by, x, y } = this.zoom;
    const part = { width: Math.max(Math.round(width / by), 1), height: Math.max(Math.round(height / by), 1) };
    part.x = clamp(Math.round(x * width - part.width / 2), 0, width - part.width);
    part.y = clamp(Math.round(y * height - part.height / 2), 0, height - part.height);
    return part;
  }

  /** Shows what is wished for, soon: one picture is under way at a time, the latest wish wins. */
  want() {
    if (!this.view) return;
    this.wished = true;
    clearTimeout(this.patience);
    if (!this.busy) void this.load();
    else this.patience = setTimeout(() => this.wished && this.under.abort(), PATIENCE);
  }

  async load() {
    this.busy = true;
    while (this.wished) {
      this.wished = false;
      this.under = new AbortController();
      const slow = setTimeout(() => this.say(`Computing frame ${this.get("frame")} …`), PATIENCE);
      try {
        const sides = this.wiping() ? ["a", "b"] : ["a"], { signal } = this.under;
        this.pictures = await Promise.all(sides.map(async (side) =>
          createImageBitmap(await (await this.ask("picture", this.asking(side), signal)).blob())));
        clearTimeout(slow);
        this.say("");
        this.draw();
      } catch (error) {
        clearTimeout(slow);
        if (error.name !== "AbortError") this.say(error.message, !error.wait);
        if (error.wait) setTimeout(() => this.want(), 1000);
      }
    }
    this.busy = false;
  }

  async read(at) {
    const [width, height] = this.about.size;
    this.under_cursor = { x: Math.floor(at.x * width), y: Math.floor(at.y * height) };
    if (this.reading) return;
    this.reading = true;
    while (this.under_cursor) {
      const pixel = this.under_cursor;
      this.under_cursor = null;
      try {
        this.tell(await (await this.ask("values", { ...this.asking("a"), ...pixel })).json());
      } catch (error) {
        this.values.replaceChildren(make("span", { textContent: error.message }));
      }
    }
    this.reading = false;
  }

  /** Writes values under the picture, a line for each input. */
  tell({ x, y, values }) {
    const cells = [];
    const cell = (text, className = "", title = "") => cells.push(make("span", { textContent: text, className, title }));
    Object.entries(values).forEach(([input, channels], line) => {
      cell(input);
      const entries = Object.entries(channels).slice(0, 4);
      for (const [name, value] of entries) {
        const short = typeof value === "number" ? Number(value.toPrecision(6)) : value ?? "no pixel";
        cell(input.includes("matte") && entries.length > 1 ? `${name} ${short}` : short, name.toLowerCase(), `${name} = ${value}`);
      }
      for (let empty = entries.length; empty < 4; empty++) cell("");
      cell([this.about.spaces[input], line ? "" : `x ${x}  y ${y}`].filter(Boolean).join("   "), "dim");
    });
    this.values.replaceChildren(...cells);
  }

  // What is drawn

  /** Where the picture lies on the canvas. */
  seen() {
    const [width, height] = [this.about.size[0] * this.about.aspect, this.about.size[1]];
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height);
    const place = { width: width * scale, height: height * scale };
    return { ...place, left: (this.canvas.width - place.width) / 2, top: (this.canvas.height - place.height) / 2 };
  }

  draw() {
    const { canvas } = this, context = canvas.getContext("2d"), [a, b] = this.pictures;
    canvas.width = Math.max(this.stage.clientWidth * SHARP, 1);
    canvas.height = Math.max(this.stage.clientHeight * SHARP, 1);
    if (!a) return;
    const { left, top, width, height } = this.seen();
    context.imageSmoothingEnabled = a.width > width / 4 || this.zoom.by === 1; // close up, pixels are squares
    context.drawImage(a, left, top, width, height);
    if (!b || !this.wiping()) return;
    const at = this.get("wipe_at"), line = left + at * width;
    context.drawImage(b, at * b.width, 0, (1 - at) * b.width, b.height, line, top, (1 - at) * width, height);
    context.fillStyle = "#fff";
    context.shadowColor = "#000";
    context.shadowBlur = 6;
    context.fillRect(line - 1, top, 2, height);
    context.font = "bold 26px system-ui, sans-serif";
    context.textAlign = "right";
    if (at > 0.1) context.fillText("A", line - 14, top + 34);
    context.textAlign = "left";
    if (at < 0.9) context.fillText("B", line + 14, top + 34);
  }
}

/** Shows what an earlier run gave to the nodes, when a page comes back to a graph. */
function restore(outputs) {
  for (const node of app.graph?._nodes ?? []) {
    const view = outputs?.[node.id]?.matte_view?.[0];
    if (node.matteViewer && view && view !== node.matteViewer.view) void node.matteViewer.open(view);
  }
}

app.registerExtension({
  name: "Matte.Viewer",

  setup() {
    document.head.append(make("style", { textContent: STYLE }));
  },

  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const viewer = (node.matteViewer = new Viewer(node));
    const options = { serialize: false, hideOnZoom: false, getMinHeight: () => 330, margin: 6 };
    node.addDOMWidget("viewer", "matte_viewer", viewer.root, options).serialize = false;
    node.setSize([Math.max(node.size[0], 500), Math.max(node.size[1], 580)]);
    const { onExecuted, onConfigure, onRemoved } = node;
    node.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      if (output.matte_view) void viewer.open(output.matte_view[0]);
    };
    node.onConfigure = function () {
      onConfigure?.apply(this, arguments);
      viewer.refresh();
    };
    node.onRemoved = function () {
      onRemoved?.apply(this, arguments);
      viewer.watch.disconnect();
      viewer.view = null;
    };
  },

  onNodeOutputsUpdated: restore,
  afterConfigureGraph() {
    setTimeout(() => restore(app.nodeOutputs), 100); // older pages put the outputs back a little later
  },
});
