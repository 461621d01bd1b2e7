// What is on a Matte Viewer's node: buttons, the stage of the picture, sliders, the values under the cursor.

const LOOKS = {
  rgb: ["RGB", "The plate (1)"],
  alpha: ["Alpha", "The matte as grey, 1 = opaque (2)"],
  overlay: ["Overlay", "The matte as a tint over the plate, a colour for each layer (3)"],
  checker: ["Checker", "The subject over a checker, in linear light (4)"],
  grey: ["Grey", "The subject over 18 % grey, in linear light (5)"],
  colour: ["Colour", "The subject over a colour of your choice, in linear light (6)"],
  foreground: ["FG", "The foreground without the matte (7)"],
};
export const STYLE = `
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

export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The parts of a viewer, without anything that happens to them. */
export class Panel {
  constructor() {
    this.looks = Object.entries(LOOKS).map(([name, [label, title]]) =>
      make("button", { type: "button", textContent: label, title, name }),
    );
    this.colour = make("input", { type: "color", title: "The colour behind the subject" });
    this.layers = make("select", { title: "Layer of the matte" });
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
      make("div", { className: "row" }, ...this.looks, this.colour, this.layers, space, this.wipe),
      this.stage,
      make("div", { className: "row" }, this.back, this.slider, this.next, this.frame),
      make("div", { className: "row" }, "Exposure", this.exposure, this.stops, "Gamma", this.gamma, this.power, this.reset),
      this.values,
    );
    this.root.dataset.captureWheel = "true"; // newer pages leave the wheel to such a part while it has the focus
    for (const part of [this.slider, this.exposure, this.gamma, this.frame, this.colour, this.layers]) {
      part.setAttribute("aria-label", part.title);
    }
  }

  say(text, wrong = false) {
    this.said.textContent = text;
    this.said.classList.toggle("wrong", wrong);
  }

  /** Writes values under the picture, a line for each input. */
  tell({ x, y, values }, spaces) {
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
      cell([spaces[input], line ? "" : `x ${x}  y ${y}`].filter(Boolean).join("   "), "dim");
    });
    this.values.replaceChildren(...cells);
  }
}
