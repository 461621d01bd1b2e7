// The Matte Viewer node in ComfyUI's page.

import { app } from "../../scripts/app.js";
import { STYLE, make } from "./viewer/panel.js";
import { Viewer } from "./viewer/viewer.js";

const viewers = new Set();

/** The prompts have ended: asks again for what had to wait for them. */
function resume() {
  for (const viewer of viewers) if (viewer.waits) viewer.want();
}

/** Shows what an earlier run gave to the nodes, when a page comes back to a graph. */
function restore(outputs) {
  for (const viewer of viewers) {
    const view = outputs?.[viewer.node.id]?.matte_view?.[0];
    if (view && view !== viewer.view) void viewer.open(view);
  }
}

app.registerExtension({
  name: "Matte.Viewer",

  setup() {
    document.head.append(make("style", { textContent: STYLE }));
    app.api.addEventListener("status", ({ detail }) => detail?.exec_info?.queue_remaining === 0 && resume());
    setInterval(resume, 5000); // prompts of other pages end unheard
    setInterval(() => restore(app.nodeOutputs), 500); // a graph is opened first and gets its outputs back some time later
  },

  nodeCreated(node) {
    if (node.comfyClass !== "MatteViewer") return;
    const viewer = (node.matteViewer = new Viewer(node, app));
    viewers.add(viewer);
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
      viewers.delete(viewer);
      viewer.view = null;
    };
  },
});
