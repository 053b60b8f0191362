// What was written and is not accepted yet. It is kept in the browser's storage and sent strictly in order; a message
// keeps its id through every try, so that one whose answer was lost is not accepted twice.

import { Later, Pause, Refused, alone, newId } from "./chat_client.js";

export class Outbox {
  #pause = new Pause();
  #running = false;

  // `changed(entry, status, messageId)`: what became of an entry {id, text, at, error}.
  constructor(client, memory, changed) {
    Object.assign(this, { client, memory, changed });
    memory.watch("outbox", () => {
      for (const entry of this.entries()) if (entry.error) changed(entry, "failed");
      this.wake();
    });
  }

  entries() { return this.memory.get("outbox") ?? []; }

  add(text) {
    const entry = { id: newId(), text, at: Date.now() };
    this.#keep([...this.entries(), entry]);
    this.changed(entry, "waiting");
    this.wake();
  }

  // Once more, behind what waits: later messages may have gone out meanwhile.
  again(id) {
    const entry = this.entries().find((found) => found.id === id);
    if (!entry) return;
    const { error, ...fresh } = { ...entry, at: Date.now() };
    this.#keep([...this.#without(id), fresh]);
    this.changed(fresh, "waiting");
    this.wake();
  }

  // The stream shows it, so it was accepted, whatever we heard.
  settled(id) {
    if (this.entries().some((entry) => entry.id === id)) this.#keep(this.#without(id));
  }

  wake() {
    this.#pause.cut();
    if (!this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    let tries = 0;
    try {
      while (this.#head()) {
        try {
          await alone(`${this.memory.prefix}outbox`, () => this.#sendHead());
          tries = 0;
        } catch (problem) {
          if (!(problem instanceof Later)) throw problem;
          await this.#pause.wait(problem, tries);
          tries += 1;
        }
      }
    } finally {
      this.#running = false;
    }
  }

  async #sendHead() {
    const entry = this.#head(); // another tab may have sent the one we saw
    if (!entry) return;
    const data = { id: entry.id, content: { type: "text", text: entry.text }, locale: navigator.language || undefined };
    try {
      const { accepted } = await this.client.post("message.created", data);
      this.settled(entry.id);
      this.changed(entry, "queued", accepted?.[0]?.message_id);
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      const failed = { ...entry, error: problem.message };
      this.#keep(this.entries().map((found) => (found.id === entry.id ? failed : found)));
      this.changed(failed, "failed");
    }
  }

  #head() { return this.entries().find((entry) => !entry.error); }

  #without(id) { return this.entries().filter((entry) => entry.id !== id); }

  #keep(entries) { this.memory.set("outbox", entries); }
}
