// Says in the page what serves it, and starts with a workflow that it can run: the page's own first workflow
// needs nodes that only ComfyUI has.
import { app } from "../../scripts/app.js";

const NAME = "Matte Studio";
const FIRST = "mask_to_matte";

function rename() {
  const title = document.title.replace(/ComfyUI$/, NAME);
  if (title !== document.title) document.title = title;
}

async function firstWorkflow() {
  const templates = await (await fetch("api/workflow_templates")).json();
  const [pack, names] = Object.entries(templates)[0];
  if (names.length === 0) return { version: 0.4, nodes: [], links: [], last_node_id: 0, last_link_id: 0 };
  const name = names.includes(FIRST) ? FIRST : names[0];
  return (await fetch(`api/workflow_templates/${pack}/${name}.json`)).json();
}

app.registerExtension({
  name: "Matte.Studio",
  aboutPageBadges: [{ label: `${NAME}: a host for Matte's nodes, not ComfyUI`, url: location.origin, icon: "pi pi-info-circle" }],
  async setup() {
    rename();
    new MutationObserver(rename).observe(document.head, { childList: true, subtree: true, characterData: true });
    const load = app.loadGraphData;
    app.loadGraphData = async function (workflow, ...others) {
      return load.call(this, workflow ?? (await firstWorkflow()), ...others);
    };
  },
});
