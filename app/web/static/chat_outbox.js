// What was written and is not accepted yet. It is kept in the browser's storage and sent strictly in order; a message
// keeps its id through every try, so that one whose answer was lost is not accepted twice. Each has a name of its own
// there: of one list, a tab that takes out what was sent would throw away what another tab has just put in.

import { Later, Pause, Refused, alone, newId } from "./chat_client.js";

const NAMED = "outbox:"; // begins their names

export class Outbox {
  #pause = new Pause();
  #running = false;

  // `changed(entry, status, messageId)`: what became of an entry {id, text, at, error}.
  constructor(client, memory, changed) {
    Object.assign(this, { client, memory, changed });
    this.#unlist();
    memory.watch(NAMED, () => {
      for (const entry of this.entries()) if (entry.error) changed(entry, "failed");
      this.wake();
    });
  }

  // In the order in which they go out.
  entries() {
    const found = this.memory.names(NAMED).map((name) => this.memory.get(name)).filter(Boolean);
    return found.sort((one, other) => one.at - other.at);
  }

  add(text) { this.#put({ id: newId(), text }); }

  // Once more, behind what waits: later messages may have gone out meanwhile.
  again(id) {
    const entry = this.entries().find((found) => found.id === id);
    if (!entry) return;
    const { error, ...fresh } = entry;
    this.#put(fresh);
  }

  // Behind all others.
  #put(fresh) {
    const entry = { ...fresh, at: Math.max(Date.now(), (this.entries().at(-1)?.at ?? 0) + 1) };
    this.#keep(entry);
    this.changed(entry, "waiting");
    this.wake();
  }

  // The stream shows it, so it was accepted, whatever we heard.
  settled(id) {
    this.memory.remove(NAMED + id);
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
      this.#keep(failed);
      this.changed(failed, "failed");
    }
  }

  #head() { return this.entries().find((entry) => !entry.error); }

  #keep(entry) { this.memory.set(NAMED + entry.id, entry); }

  // Until 0.1 all stood in one list.
  #unlist() {
    for (const entry of this.memory.get("outbox") ?? []) this.#keep(entry);
    this.memory.remove("outbox");
  }
}
