// The messages of one conversation: added as they come, changed in place, and gone with what the stand-in forgets.
import { End } from "./kit/end.js";
import { messageElement, updateMessage } from "./messages.js";

const keyOf = ({ sequence, mId }) => sequence ?? mId;

export class Log {
  #node; #shown = new Map(); #note = null;

  constructor(node, latest) {
    this.#node = node;
    this.end = new End(node, latest);
  }

  // `finish` may add to a new message's element; `note` is a line below all of them.
  show(entries, name, { finish = () => {}, note = "" }) {
    const isFirst = this.#shown.size === 0;
    if (isFirst) this.end.go();
    this.#node.setAttribute("aria-live", isFirst ? "off" : "polite");
    const keys = new Set(entries.map(keyOf));
    for (const [key, article] of this.#shown) if (!keys.has(key)) this.#remove(key, article);
    for (const entry of entries) {
      const known = this.#shown.get(keyOf(entry));
      if (known) updateMessage(known, entry);
      else this.#add(entry, name, finish);
    }
    this.#tell(note);
    this.end.stay();
  }

  #add(entry, name, finish) {
    const article = messageElement(entry, name);
    finish(article, entry);
    this.#shown.set(keyOf(entry), article);
    this.#node.append(article);
    this.end.news();
  }

  #remove(key, article) {
    article.remove();
    this.#shown.delete(key);
  }

  #tell(words) {
    if (words === (this.#note?.textContent ?? "")) {
      if (words) this.#node.append(this.#note);
      return;
    }
    this.#note?.remove();
    this.#note = null;
    if (!words) return;
    this.#note = document.createElement("p");
    this.#note.className = "note";
    this.#note.textContent = words;
    this.#node.append(this.#note);
  }

  empty() {
    this.#shown.clear();
    this.#note = null;
    this.#node.replaceChildren();
  }
}
