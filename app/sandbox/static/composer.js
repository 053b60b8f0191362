// The form in which a desk's person writes: kinds of messages with fields of their own, words, a file.
import { Writing } from "./kit/writing.js";
import { byId } from "./polling.js";

const valueOf = (id) => byId(id).value.trim();

// Those that were filled in; `ids` by the name that the stand-in has for each.
export function filled(ids) {
  const values = Object.entries(ids).map(([name, id]) => [name, valueOf(id)]);
  return Object.fromEntries(values.filter(([, value]) => value !== ""));
}

// A number that is not one stays a string, so that the stand-in's own check names the field.
function coordinate(id) {
  const written = valueOf(id).replace(",", ".");
  return written !== "" && Number.isFinite(Number(written)) ? Number(written) : written;
}

export const position = () => ({ latitude: coordinate("latitude"), longitude: coordinate("longitude") });

export const asJson = (path, body) => ({ path, body: JSON.stringify(body) });

// A file is the body itself; what is said about it stands in the query.
export function asFile(file, text) {
  const query = new URLSearchParams({ filename: file.name, ...(text ? { text } : {}) });
  return { path: `media?${query}`, body: file, type: file.type || "application/octet-stream" };
}

export class Composer {
  #form = byId("composer"); #problem = byId("composer-problem"); #file = byId("composer-file");
  #writing = new Writing(byId("composer-text"), byId("count"));
  #make; #send; #whom = null;

  // `make`: by kind, from the text and the file, the message to send. `send(message)` says no by an Error.
  constructor(make, send) {
    [this.#make, this.#send] = [make, send];
    this.#form.addEventListener("submit", (event) => this.#submit(event));
    this.#form.addEventListener("change", ({ target }) => {
      if (target.name === "kind") this.#problem.textContent = "";
      this.showFields();
    });
    byId("remove-file")?.addEventListener("click", () => {
      this.#file.value = "";
      this.showFields();
      this.#file.focus();
    });
    this.showFields();
  }

  get kind() { return this.#form.elements.kind?.value ?? "text"; }

  set kind(kind) {
    if (this.#form.elements.kind) this.#form.elements.kind.value = kind;
    this.showFields();
  }

  get isShown() { return !this.#form.hidden; }

  focus() { this.#writing.focus(); }

  // To whom one writes now, null for nobody. What was written to somebody else does not move on with it.
  open(whom) {
    this.#form.hidden = whom === null;
    if (whom === null || whom === this.#whom) return;
    this.#whom = whom;
    for (const input of this.#inputs(".fields, .row")) clear(input);
    this.#problem.textContent = "";
    this.#writing.open(`${location.pathname}:${whom}`);
    this.kind = "text";
  }

  showFields() {
    for (const part of this.#form.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== this.kind;
    if (!this.#file) return;
    const [shown, chosen] = [this.#file.nextElementSibling, this.#file.files[0]];
    shown.textContent = chosen?.name ?? shown.dataset.words;
    byId("remove-file").hidden = this.kind !== "text" || !chosen;
  }

  // The fields are free again at once, and get back what was refused unless something else was written since.
  async #submit(event) {
    event.preventDefault();
    const [kind, whom] = [this.kind, this.#whom];
    if (kind === "text" && this.#writing.isTooLong) return;
    const message = this.#make[kind](this.#writing.words, this.#file?.files[0]);
    if (!message) return;
    const fields = this.#inputs(kind === "text" ? ".row" : `.fields[data-kind="${kind}"]`).map(take);
    const words = kind === "text" ? this.#writing.take() : () => {};
    this.#problem.textContent = "";
    this.showFields();
    if (kind === "text") this.focus();
    try {
      await this.#send(message);
    } catch (error) {
      words();
      if (whom !== this.#whom) return;
      for (const giveBack of fields) giveBack();
      this.showFields();
      this.#problem.textContent = `Not sent: ${error.message}`;
    }
  }

  #inputs(where) {
    return [...this.#form.querySelectorAll(where)].flatMap((part) => [...part.querySelectorAll("input, textarea")])
      .filter((input) => input.id !== "composer-text");
  }
}

function clear(input) {
  if (input.type === "checkbox") input.checked = false;
  else input.value = "";
}

// The way back for what was in a field.
function take(input) {
  const name = { checkbox: "checked", file: "files" }[input.type] ?? "value";
  const held = input[name];
  clear(input);
  return () => {
    const isEmpty = name === "files" ? !input.files.length : !input[name];
    if (isEmpty) input[name] = held;
  };
}
