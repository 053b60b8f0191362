// Tells Patchbay what became of the messages that came from the other side, each step once and in order.

import { Later, NewVisitor, Pause, Refused } from "./chat_client.js";
import { RANK } from "./chat_view.js";

export class Reports {
  #pause = new Pause();
  #queue = [];
  #ranks = new Map();
  #running = false;

  constructor(client) { this.client = client; }

  // What the server knows already needs no report.
  known(id, status) {
    this.#ranks.set(id, Math.max(RANK[status] ?? 0, this.#ranks.get(id) ?? 0));
  }

  report(id, status) {
    if ((this.#ranks.get(id) ?? 0) >= RANK[status]) return;
    this.known(id, status);
    this.#queue.push({ message_id: id, status });
    if (!this.#running) this.#run();
  }

  wake() { this.#pause.cut(); }

  clear() {
    this.#queue.length = 0;
    this.#ranks.clear();
  }

  async #run() {
    this.#running = true;
    let tries = 0;
    while (this.#queue.length) {
      const [report] = this.#queue;
      try {
        await this.client.post("message.status", report);
        tries = 0;
      } catch (problem) {
        if (problem instanceof Later && !(problem instanceof NewVisitor)) {
          await this.#pause.wait(problem, tries);
          tries += 1;
          continue;
        }
        if (!(problem instanceof Later || problem instanceof Refused)) console.error(problem);
      }
      if (this.#queue[0] === report) this.#queue.shift();
    }
    this.#running = false;
  }
}
