// A desk: whom there is to talk to, one conversation of theirs, and the form to answer in. It asks once a second whether
// something changed, and shows it.
import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { contactElement } from "./messages.js";
import { byId, call, inLine, poll, report } from "./polling.js";

const isSmall = matchMedia("(max-width: 720px)");
const OPENED = `patchbay:opened:${location.pathname}`; // where this tab remembers whom it shows

export class Desk {
  #list = byId("list"); #log = new Log(byId("log"), byId("latest"));
  #nobodyChosen = byId("customer-name").textContent;
  #current = null; #version = null; #entries = []; #sending = Promise.resolve();

  // What is different at each desk:
  // - `all`: the address that lists whom there is, `entries(answer)` and `keyOf(entry)` for each of them
  // - `address(entry, what)`: of their `messages`, of `read`, ...; null if there is none
  // - `entry(entry)`: how it is listed (see contactElement); `about(entry)`: the line below the name
  // - `make`: see Composer; `canWrite(entry)`, `note(entry)`: a line below the messages, `finish(article, message)`
  // - `shown(entry)`: a conversation is shown, undefined for none; `listed(entries)`
  constructor(its) {
    this.its = {
      keyOf: ({ contactId }) => contactId, canWrite: () => true, note: () => "", finish: () => {}, shown: () => {},
      listed: () => {}, entry: (entry) => ({ ...entry, note: entry.last && { time: entry.last.timestamp } }), ...its,
    };
    this.composer = new Composer(its.make, (message) => this.send(message));
    this.#current = sessionStorage.getItem(OPENED);
    this.#show(this.#current ? "conversation" : "list");
    byId("back").addEventListener("click", () => this.#goBack());
    document.addEventListener("visibilitychange", () => { this.#version = null; }); // what is looked at is read
  }

  get chosen() { return this.#entries.find((entry) => this.its.keyOf(entry) === this.#current); }

  run() { poll(() => this.#look()); }

  refresh() { return inLine(() => this.#look()); }

  async choose(key) {
    if (key !== this.#current) this.#log.empty();
    byId("act-problem").textContent = "";
    this.#remember(key);
    this.#show("conversation");
    this.#showList();
    this.#showHeading();
    const shown = inLine(() => this.#showConversation()).catch(report);
    if (isSmall.matches || !this.composer.isShown) byId("customer-name").focus();
    else this.composer.focus();
    await shown;
  }

  // A message for whom is chosen. One after the other, so that a slow answer does not let a later one overtake.
  send({ path, body, type }, address = this.its.address(this.chosen, path)) {
    const sent = this.#sending.then(() => call(address, "POST", body, type));
    this.#sending = sent.catch(() => {});
    this.#log.end.go(); // where it will stand
    return sent.finally(() => this.refresh().catch(report));
  }

  // Something that a button does.
  async act(doing) {
    byId("act-problem").textContent = "";
    try {
      await doing();
      await this.refresh();
    } catch (error) {
      byId("act-problem").textContent = error.message;
    }
  }

  async #look() {
    const answer = await call(this.its.all);
    if (answer.version === this.#version) return;
    this.#entries = this.its.entries(answer);
    this.#showList();
    await this.#showConversation();
    this.#version = answer.version;
  }

  #showList() {
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.#list.replaceChildren(...this.#entries.map((entry) => {
      const key = this.its.keyOf(entry);
      return contactElement({ key, ...this.its.entry(entry) }, key === this.#current, () => this.choose(key));
    }));
    byId("nobody").hidden = this.#entries.length > 0;
    if (focused) [...this.#list.querySelectorAll("button")].find(({ dataset }) => dataset.key === focused)?.focus();
    this.its.listed(this.#entries);
  }

  async #showConversation() {
    const entry = this.#showHeading();
    const address = entry && this.its.address(entry, "messages");
    if (!address) return;
    const { messages } = await call(address);
    if (this.its.keyOf(entry) !== this.#current) return;
    this.#log.show(messages, entry.name, { finish: this.its.finish, note: this.its.note(entry) });
    // on a small screen the list may lie over the messages
    const isSeen = document.visibilityState === "visible" && byId("log").checkVisibility();
    if (entry.unread && isSeen) await call(this.its.address(entry, "read"), "POST");
  }

  #showHeading() {
    const entry = this.chosen;
    if (!entry) {
      this.#log.empty();
      this.#remember(null);
      this.#show("list");
    }
    byId("customer-name").textContent = entry ? entry.name : this.#nobodyChosen;
    byId("customer-about").textContent = entry ? this.its.about(entry) : "";
    this.composer.open(entry && this.its.canWrite(entry) ? this.#current : null);
    this.its.shown(entry);
    return entry;
  }

  #goBack() {
    this.#show("list");
    this.#list.querySelector("[aria-current=true]")?.focus();
  }

  // On a small screen one hides the other.
  #show(view) { document.body.dataset.view = view; }

  #remember(key) {
    this.#current = key;
    if (key === null) sessionStorage.removeItem(OPENED);
    else sessionStorage.setItem(OPENED, key);
  }
}
