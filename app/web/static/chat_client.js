// The way to Patchbay: what the browser remembers, the visitor's token, and posts. Three answers matter to callers:
// accepted, Refused (trying again would not help), Later (it may).

const REQUEST_MILLISECONDS = 15_000;
const LONGEST_PAUSE = 30;

export class Refused extends Error {}

// `seconds` is what the server asked for, null if the caller may choose.
export class Later extends Error {
  constructor(seconds = null) {
    super("try again later");
    this.seconds = seconds;
  }
}

// The token was refused and a new one has been fetched: what was said as the old visitor is no longer ours.
export class NewVisitor extends Later {}

// Values that outlive the page, as far as the browser lets us: without storage they live as long as the page.
export class Memory {
  #held = new Map();

  constructor(prefix) { this.prefix = prefix; }

  get(name) {
    try {
      const kept = localStorage.getItem(this.prefix + name);
      if (kept !== null) return JSON.parse(kept);
    } catch { /* no storage, or something that we did not write */ }
    return this.#held.get(name);
  }

  set(name, value) {
    try {
      localStorage.setItem(this.prefix + name, JSON.stringify(value));
      this.#held.delete(name);
    } catch {
      this.#held.set(name, value);
    }
  }

  // Those that begin so.
  names(start) {
    const found = new Set(this.#held.keys());
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(this.prefix)) found.add(key.slice(this.prefix.length));
    } catch { /* no storage */ }
    return [...found].filter((name) => name.startsWith(start));
  }

  remove(name) {
    this.#held.delete(name);
    try { localStorage.removeItem(this.prefix + name); } catch { /* no storage */ }
  }

  // Another tab of the same chat changed a value whose name begins so, or removed it: `changed(removed)`. By now it may
  // hold yet another one.
  watch(start, changed) {
    addEventListener("storage", ({ key, newValue }) => {
      if (key?.startsWith(this.prefix + start)) changed(newValue === null);
    });
  }
}

export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing where the page is not secure
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Seconds before try number `tries` (from 0): doubled every time, and never the same for all browsers.
export function backoff(tries) {
  return Math.min(LONGEST_PAUSE, 2 ** tries) * (0.75 + Math.random() / 2);
}

// A pause that can be cut short, unless the server asked for it.
export class Pause {
  #end = () => {};

  wait(problem, tries) {
    const seconds = problem.seconds ?? backoff(tries);
    return new Promise((resolve) => {
      setTimeout(resolve, seconds * 1000);
      this.#end = problem.seconds === null ? resolve : () => {};
    });
  }

  cut() { this.#end(); }
}

export class Client {
  #renewing = null;

  // `newVisitor(begins)`: the token changed; `begins` if there was another one before. `forgotten()`: the visitor wants to
  // be known no longer, here or in another tab.
  constructor({ visitorUrl, ticketUrl, eventsUrl, sendUrl, forgetUrl }, memory, { newVisitor, forgotten }) {
    Object.assign(this, { visitorUrl, ticketUrl, eventsUrl, sendUrl, forgetUrl, memory, newVisitor, forgotten });
    this.known = memory.get("token");
    memory.watch("token", (removed) => (removed ? this.#lose() : this.#adopt(memory.get("token"))));
  }

  async token() {
    return this.known ?? this.#renew(undefined);
  }

  // Of the stream behind a position. The ticket in it is soon worth nothing, so each stream wants an address of its own.
  async eventsAddress(after) {
    const { ticket } = await this.#ask(this.ticketUrl, {});
    return `${this.eventsUrl}?${new URLSearchParams({ ticket, after })}`;
  }

  async post(type, data) {
    return this.#ask(this.sendUrl, {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ type, data }),
    });
  }

  // As the visitor; who is one no longer becomes another.
  async #ask(url, { headers, body }) {
    const token = await this.token();
    const response = await request(url, {
      method: "POST",
      headers: { ...headers, Authorization: `Bearer ${token}` },
      body,
    });
    if (response.status === 401) {
      await this.#renew(token);
      throw new NewVisitor();
    }
    return answerOf(response);
  }

  // This browser forgets at once; the server is told until it has heard it, or the page is gone.
  forget() {
    const token = this.known;
    for (const name of this.memory.names("outbox")) this.memory.remove(name);
    this.memory.remove("token");
    this.#lose();
    if (token) this.#takeBack(token);
  }

  async #takeBack(token) {
    const pause = new Pause();
    for (let tries = 0; ; tries += 1) {
      try {
        const headers = { Authorization: `Bearer ${token}` };
        return await answerOf(await request(this.forgetUrl, { method: "POST", keepalive: true, headers }));
      } catch (problem) {
        if (!(problem instanceof Later)) return null; // it was good for nothing any more
        await pause.wait(problem, tries);
      }
    }
  }

  #lose() {
    this.known = undefined;
    this.forgotten();
  }

  async #renew(refused) {
    if (this.known !== refused) return this.known; // somebody was faster
    this.#renewing ??= alone(`${this.memory.prefix}token`, () => this.#fetchToken(refused)).finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  async #fetchToken(refused) {
    const found = this.memory.get("token"); // another tab was faster
    if (found && found !== refused) {
      this.#adopt(found);
      return found;
    }
    const { token } = await answerOf(await request(this.visitorUrl, { method: "POST" }));
    this.memory.set("token", token);
    this.#adopt(token);
    return token;
  }

  #adopt(token) {
    if (!token || token === this.known) return;
    const begins = this.known !== undefined;
    this.known = token;
    this.newVisitor(begins);
  }
}

// Two tabs share what is remembered; where the browser has locks, one at a time does such work.
export async function alone(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

async function request(url, options) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), REQUEST_MILLISECONDS);
  try {
    return await fetch(url, { ...options, signal: aborter.signal, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Later();
  } finally {
    clearTimeout(timer);
  }
}

async function answerOf(response) {
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status >= 500 || [408, 425, 429].includes(response.status)) {
    const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "");
    throw new Later(Number.isFinite(seconds) ? seconds : null);
  }
  throw new Refused(answer.error?.message ?? `The server answered ${response.status}.`);
}
