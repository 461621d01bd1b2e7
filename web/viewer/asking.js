// How a Matte Viewer asks the server: for no more than is looked at, and for the latest wish only.

const PATIENCE = 300; // milliseconds after which a newer wish stops the one that is under way

/** Frame numbers of "1001-1100x2,1200". */
export function framesOf(text) {
  return text.split(",").flatMap((piece) => {
    const [, first, last = first, step = 1] = piece.match(/^(-?\d+)(?:-(-?\d+))?(?:x(\d+))?$/);
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => +first + place * step);
  });
}

/** Answers of the server about one view, which a run gave to a viewer. Throws the server's sentence. */
export class Server {
  constructor(api, view) {
    Object.assign(this, { api, view });
  }

  async ask(what, query = {}, signal = undefined) {
    const address = `/matte/viewer/${this.view}/${what}?${new URLSearchParams(query)}`;
    const answer = await this.api.fetchApi(address, { signal, cache: "no-store" });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
    throw Object.assign(new Error(told.error), { wait: answer.status === 409 });
  }

  async json(what, query, signal) {
    return (await this.ask(what, query, signal)).json();
  }

  async picture(query, signal) {
    return createImageBitmap(await (await this.ask("picture", query, signal)).blob());
  }
}

/** A task that is done again for the latest wish, never twice at a time; slow ones are stopped for a newer wish. */
export class Latest {
  constructor(task, failed) {
    Object.assign(this, { task, failed, busy: false, wished: false });
  }

  want() {
    this.wished = true;
    clearTimeout(this.patience);
    if (!this.busy) void this.work();
    else this.patience = setTimeout(() => this.wished && this.under.abort(), PATIENCE);
  }

  async work() {
    this.busy = true;
    while (this.wished) {
      this.wished = false;
      this.under = new AbortController();
      try {
        await this.task(this.under.signal);
      } catch (error) {
        if (error.name !== "AbortError") this.failed(error);
      }
    }
    this.busy = false;
  }
}
