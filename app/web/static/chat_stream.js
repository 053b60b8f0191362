// The visitor's event stream. It is opened with a ticket that is soon worth nothing. So the server says when a stream is
// over and when to come again, with another one; the browser itself resumes a broken one from where it was, and what it
// gives up (the ticket was too old, the server refused) is opened anew, later and later.

import { Later, Pause, Refused } from "./chat_client.js";

export class Stream {
  #source = null;
  #position = "";
  #pause = new Pause();
  #tries = 0;
  #life = 0;

  // `handlers` by event name; `state("open" | "connecting")`.
  constructor(client, handlers, state) {
    Object.assign(this, { client, handlers, state });
  }

  // From the beginning, as another visitor; at once, unless new tokens are refused, too.
  restart() {
    this.#position = "";
    this.close();
    if (this.#tries > 1) this.#later(this.#life, new Later());
    else this.open();
  }

  async open() {
    this.close();
    const life = this.#life;
    this.state("connecting");
    try {
      const address = await this.client.eventsAddress(this.#position);
      if (life === this.#life) this.#listen(address);
    } catch (problem) {
      if (!(problem instanceof Later || problem instanceof Refused)) throw problem;
      await this.#again(life, problem);
    }
  }

  close() {
    this.#life += 1;
    this.#source?.close();
    this.#source = null;
  }

  wake() { this.#pause.cut(); }

  #listen(address) {
    const source = new EventSource(address);
    const life = this.#life;
    this.#source = source;
    source.addEventListener("open", () => {
      this.#tries = 0;
      this.state("open");
    });
    source.addEventListener("error", () => {
      this.state("connecting");
      if (source.readyState === EventSource.CLOSED) this.#again(life, new Later());
    });
    source.addEventListener("again", ({ data }) => {
      source.close();
      this.#again(life, new Later(JSON.parse(data).seconds));
    });
    for (const [name, handle] of Object.entries(this.handlers)) {
      source.addEventListener(name, (event) => {
        this.#position = event.lastEventId || this.#position;
        handle(JSON.parse(event.data));
      });
    }
  }

  #again(life, problem) {
    const waiting = this.#later(life, problem);
    this.#tries += 1;
    return waiting;
  }

  // A new token opens a stream of its own meanwhile, which ends this life.
  async #later(life, problem) {
    if (life !== this.#life) return;
    await this.#pause.wait(problem instanceof Later ? problem : new Later(), this.#tries);
    if (life === this.#life) this.open();
  }
}
