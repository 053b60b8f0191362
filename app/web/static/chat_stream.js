// The visitor's event stream. The browser itself resumes a broken one from where it was; what it gives up (the server
// refused) is opened anew, later and later.

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
      this.#tries += 1;
      await this.#later(life, problem);
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
      if (source.readyState === EventSource.CLOSED) this.#refused(life);
    });
    for (const [name, handle] of Object.entries(this.handlers)) {
      source.addEventListener(name, (event) => {
        this.#position = event.lastEventId || this.#position;
        handle(JSON.parse(event.data));
      });
    }
  }

  async #refused(life) {
    this.#tries += 1;
    try {
      await this.client.explain();
      await this.#later(life, new Later());
    } catch (problem) {
      await this.#later(life, problem);
    }
  }

  // A new token opens a stream of its own meanwhile, which ends this life.
  async #later(life, problem) {
    if (life !== this.#life) return;
    await this.#pause.wait(problem instanceof Later ? problem : new Later(), this.#tries);
    if (life === this.#life) this.open();
  }
}
