// A Matte Viewer: what a person does on its panel, what it then asks for, and how it draws the answer.

import { Latest, Server, framesOf } from "./asking.js";
import { Panel } from "./panel.js";

const SAVED = { look: "", colour: "#1f8f3a", layer: "", wipe: false }; // with the workflow
const PASSING = { frame: null, exposure: 0, gamma: 1, wipe_at: 0.5 }; // looking is nothing to save or to undo
const SHARP = 2; // the canvas has so many pixels for one of the page, for graphs that are zoomed in
const SLOW = 300; // milliseconds after which it says that it computes

/** What viewers were at, so that a tab that is opened again is seen as it was left. */
const left = new Map();
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class Viewer extends Panel {
  constructor(node, app) {
    super();
    Object.assign(this, { node, app });
    this.view = null; // the server's token for what the last run gave to this node
    this.about = { frames: [], size: [16, 9], aspect: 1, looks: [], compare: [], layers: [], spaces: {} };
    this.pictures = [];
    this.now = { ...PASSING };
    this.zoom = { by: 1, x: 0.5, y: 0.5 }; // how much of the picture is seen, around which place of it
    this.showing = new Latest((signal) => this.show(signal), (error) => this.refused(error));
    this.reading = new Latest((signal) => this.read(signal), (error) => this.values.replaceChildren(error.message));
    this.listen();
    this.refresh();
    this.say("Run the workflow to look at the shot.");
  }

  get(name) {
    return name in PASSING ? this.now[name] : this.node.properties[name] ?? SAVED[name];
  }

  set(name, value) {
    (name in PASSING ? this.now : this.node.properties)[name] = value;
    left.set(this.where, { ...this.now });
    this.refresh();
    this.want();
  }

  get where() {
    return [this.app.extensionManager?.workflow?.activeWorkflow?.path, this.node.id, this.view].join();
  }

  get look() {
    const { looks } = this.about, look = this.get("look");
    return looks.length && !looks.includes(look) ? looks[0] : look;
  }

  get layer() {
    return this.about.layers.includes(this.get("layer")) ? this.get("layer") : "";
  }

  get wiping() {
    return this.get("wipe") && this.about.compare.length > 0;
  }

  refresh() {
    const { frames, looks, layers, compare } = this.about;
    if (frames.length && !frames.includes(this.now.frame)) this.now.frame = frames[0];
    for (const button of this.looks) {
      button.setAttribute("aria-pressed", button.name === this.look);
      button.disabled = this.view !== null && !looks.includes(button.name);
    }
    this.colour.hidden = this.look !== "colour";
    this.colour.value = this.get("colour");
    this.layers.hidden = layers.length === 0;
    this.layers.replaceChildren(...["", ...layers].map((name) => new Option(name || "all layers", name)));
    this.layers.value = this.layer;
    this.wipe.disabled = this.view !== null && compare.length === 0;
    this.wipe.setAttribute("aria-pressed", this.wiping);
    this.wipe.title = this.wipe.disabled
      ? "Connect a compare_plate or a compare_matte to wipe to it"
      : "Wipe between what is connected (A) and the compare inputs (B) (w)";
    this.slider.max = Math.max(frames.length - 1, 0);
    const { frame, exposure, gamma } = this.now;
    this.slider.value = Math.max(frames.indexOf(frame), 0);
    this.frame.value = frame ?? "";
    this.exposure.value = exposure;
    this.gamma.value = gamma;
    this.stops.textContent = (exposure > 0 ? "+" : "") + exposure.toFixed(1);
    this.power.textContent = gamma.toFixed(2);
  }

  // Hands on it

  listen() {
    const value = (name, part, read = Number) => part.addEventListener("input", () => this.set(name, read(part.value)));
    for (const button of this.looks) button.addEventListener("click", () => this.set("look", button.name));
    value("exposure", this.exposure);
    value("gamma", this.gamma);
    value("colour", this.colour, String);
    value("layer", this.layers, String);
    this.slider.addEventListener("input", () => this.set("frame", this.about.frames[this.slider.value]));
    this.frame.addEventListener("change", () => this.go(Number(this.frame.value)));
    this.back.addEventListener("click", () => this.step(-1));
    this.next.addEventListener("click", () => this.step(1));
    this.wipe.addEventListener("click", () => this.set("wipe", !this.get("wipe")));
    this.reset.addEventListener("click", () => this.plain());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, () => (this.held = null));
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
    const { frames } = this.about, place = frames.indexOf(this.now.frame) + by;
    if (frames.length) this.set("frame", frames[clamp(place, 0, frames.length - 1)]);
  }

  plain() {
    const { exposure, gamma } = PASSING;
    Object.assign(this.now, { exposure, gamma });
    this.fit();
    this.refresh();
  }

  fit() {
    this.zoom = { by: 1, x: 0.5, y: 0.5 };
    this.want();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches(event.key.length > 1 ? "input, select" : "input:not([type=range]), select");
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
      this.app.canvas.processMouseWheel(event); // the graph zooms until the viewer was clicked
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
    if (event.button === 1) this.app.canvas.processMouseDown(event); // the middle button moves the graph
    if (event.button !== 0) return;
    this.root.focus({ preventScroll: true });
    const at = this.place(event);
    if (!at) return;
    this.stage.setPointerCapture(event.pointerId);
    const near = Math.abs(at.u - this.now.wipe_at) < 0.04;
    this.held = this.wiping && (near || this.zoom.by === 1) ? { wipe: true } : { at, zoom: this.zoom };
    this.move(event);
  }

  move(event) {
    const at = this.place(event, this.held);
    if (this.held?.wipe) {
      this.now.wipe_at = clamp(at.u, 0, 1);
      this.draw();
    } else if (this.held && this.zoom.by > 1) {
      const { at: from, zoom } = this.held;
      this.zoom = this.inside(zoom.by, zoom.x + (from.u - at.u) / zoom.by, zoom.y + (from.v - at.v) / zoom.by);
      this.want();
    }
    const over = this.place(event), [width, height] = this.about.size;
    if (!over || !this.view) return;
    this.pixel = { x: Math.floor(over.x * width), y: Math.floor(over.y * height) };
    this.reading.want();
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
    this.server = new Server(this.app.api, view);
    Object.assign(this.now, left.get(this.where));
    try {
      const about = await this.server.json("about");
      this.about = { ...about, frames: framesOf(about.frames) };
      this.refresh();
      this.want();
    } catch (error) {
      this.say(error.message, true);
    }
  }

  want() {
    if (this.view) this.showing.want();
  }

  async show(signal) {
    const waited = this.waits;
    const slow = setTimeout(() => waited || this.say(`Computing frame ${this.now.frame} …`), SLOW);
    try {
      const sides = this.wiping ? ["a", "b"] : ["a"];
      this.pictures = await Promise.all(sides.map((side) => this.server.picture(this.asking(side), signal)));
      this.waits = false;
      this.say("");
      this.draw();
    } finally {
      clearTimeout(slow);
    }
  }

  refused({ message, wait = false }) {
    this.waits = wait; // for a prompt to end
    this.say(message, !wait);
  }

  async read(signal) {
    this.tell(await this.server.json("values", { ...this.asking("a"), ...this.pixel }, signal), this.about.spaces);
  }

  /** What is looked at, as the server is asked for it. */
  asking(side) {
    const { look, layer, now, zoom } = this, { x, y, width, height } = this.region();
    const asked = { look, layer, side, frame: now.frame, exposure: now.exposure, gamma: now.gamma };
    return { ...asked, background: this.get("colour"), region: zoom.by > 1 ? [x, y, width, height].join() : "" };
  }

  /** The part of the picture that is seen, in its own pixels. */
  region() {
    const [width, height] = this.about.size, { by, x, y } = this.zoom;
    const part = { width: Math.max(Math.round(width / by), 1), height: Math.max(Math.round(height / by), 1) };
    part.x = clamp(Math.round(x * width - part.width / 2), 0, width - part.width);
    part.y = clamp(Math.round(y * height - part.height / 2), 0, height - part.height);
    return part;
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
    if (!b || !this.wiping) return;
    const at = this.now.wipe_at, line = left + at * width;
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

