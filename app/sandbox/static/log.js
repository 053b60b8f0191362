// The messages of one conversation: added as they come, changed in place, scrolled along unless somebody reads above.
import { messageElement, updateMessage } from "./messages.js";

export class Log {
  #node; #shown = new Map(); #sticks = true;

  constructor(node) {
    this.#node = node;
    node.addEventListener("scroll", () => {
      this.#sticks = node.scrollHeight - node.scrollTop - node.clientHeight < 60;
    });
    new ResizeObserver(() => this.#stayAtEnd()).observe(node);
  }

  // `finish` may add to a new message's element.
  show(entries, name, finish) {
    const isFirst = this.#shown.size === 0;
    this.#sticks ||= isFirst;
    this.#node.setAttribute("aria-live", isFirst ? "off" : "polite");
    for (const entry of entries) {
      const known = this.#shown.get(entry.mId);
      if (known) updateMessage(known, entry);
      else this.#add(entry, name, finish);
    }
    this.#stayAtEnd();
  }

  #add(entry, name, finish) {
    const article = messageElement(entry, name);
    for (const image of article.querySelectorAll("img")) image.addEventListener("load", () => this.#stayAtEnd());
    finish(article, entry);
    this.#shown.set(entry.mId, article);
    this.#node.append(article);
  }

  empty() {
    this.#shown.clear();
    this.#node.replaceChildren();
  }

  #stayAtEnd() {
    if (this.#sticks) this.#node.scrollTop = this.#node.scrollHeight;
  }
}
