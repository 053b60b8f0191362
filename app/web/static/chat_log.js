// The conversation on the page. Order is the server's: what it has not confirmed yet stays below everything it has.

import { climbs, dayElement, dayOf, messageElement, showStatus, showTime, withdrawAgain } from "./chat_view.js";
import { element } from "./kit/elements.js";
import { End } from "./kit/end.js";

const TYPING_MILLISECONDS = 10_000;
const UNDELIVERED = "It could not be delivered.";

export class Log {
  #byId = new Map();
  #byClientId = new Map();
  #offers = []; // quick replies that nobody has taken
  #said = new Map(); // what the visitor wrote, and the last message that says it
  #typingTimer = null;
  #end;
  #toldBy = null; // who spoke last to the visitor

  // `say(text)`: a quick reply was taken, or what failed for good is said anew. `again(clientId)`: what was never accepted
  // is to be sent once more.
  constructor({ log, typing, latest }, { say, again }) {
    Object.assign(this, { log, typing, say, again });
    this.#end = new End(log, latest);
  }

  clear() {
    for (const node of this.log.querySelectorAll(".message, .day, .note")) node.remove();
    this.#byId.clear();
    this.#byClientId.clear();
    this.#offers = [];
    this.#said.clear();
    this.#toldBy = null;
    this.hideTyping();
  }

  // An entry of the outbox.
  own({ id, text, at, error }, status, messageId) {
    let message = this.#byClientId.get(id);
    if (!message) {
      message = this.#make({ author: "customer", content: { type: "text", text } });
      message.clientId = id;
      message.element.dataset.id = id;
      this.#byClientId.set(id, message);
    }
    if (status === "waiting" && !message.placed) {
      this.#place(message, at, null);
      this.#climb(message, status, "", true);
      this.#end.go();
    } else if (status === "failed" && !message.placed) {
      if (!message.element.isConnected) this.#place(message, at, null);
      this.#climb(message, status, `Not delivered. ${error}`, true);
    } else if (messageId) {
      this.#name(message, messageId);
      this.#climb(message, status, "");
    }
  }

  // A message event; whether it is new here.
  message(data) {
    let message = this.#byId.get(data.id) ?? this.#byClientId.get(data.client_id);
    const isNew = !message?.placed;
    message ??= this.#make(data);
    this.#name(message, data.id);
    if (data.client_id) this.#byClientId.set(data.client_id, message); // another tab wrote it; this one may yet send it
    if (isNew) {
      message.placed = true;
      this.#place(message, data.at, this.#firstUnplaced());
      if (data.author === "customer") {
        this.#took(data.content.text);
      } else {
        this.#toldBy = data.author;
        this.hideTyping();
      }
    }
    this.#climb(message, data.status, data.error);
    return isNew;
  }

  status({ id, status, error }) {
    const message = this.#byId.get(id);
    if (message) this.#climb(message, status, error);
    return message;
  }

  // A line of our own between the messages.
  note(words) {
    this.log.insertBefore(element("p", { class: "note" }, words), this.#firstUnplaced() ?? this.typing);
    this.#end.stay();
  }

  showTyping(milliseconds = TYPING_MILLISECONDS) {
    this.typing.hidden = false;
    clearTimeout(this.#typingTimer);
    this.#typingTimer = setTimeout(() => this.hideTyping(), milliseconds);
    this.#end.stay();
  }

  hideTyping() {
    clearTimeout(this.#typingTimer);
    this.typing.hidden = true;
  }

  // Whoever answered may have said goodbye in words of their own.
  ended() {
    this.hideTyping();
    if (this.#toldBy !== "system") this.note("This conversation has ended. Write again whenever you like.");
    this.#toldBy = null;
  }

  // Everything that was there has been shown; from here on, news are read out.
  caughtUp() {
    this.log.setAttribute("aria-live", "polite");
    this.#end.stay();
  }

  #make({ author, content }) {
    const message = { status: "waiting", placed: false };
    message.element = messageElement(author, content, (text) => {
      this.say(text);
      this.#took(text);
    });
    if (author === "customer" && content.type === "text") this.#remember(message, content.text);
    if (content.type === "quick_reply") this.#offers.push({ replies: content.replies, element: message.element });
    return message;
  }

  // What was said again need not be offered again.
  #remember(message, text) {
    const earlier = this.#said.get(text);
    if (earlier && !earlier.placed) return;
    if (earlier) withdrawAgain(earlier.element);
    message.text = text;
    this.#said.set(text, message);
  }

  #name(message, id) {
    message.id = id;
    message.element.dataset.id = id;
    this.#byId.set(id, message);
  }

  #place(message, at, before) {
    message.at = at;
    message.element.dataset.at = at;
    showTime(message.element, at);
    const next = before ?? this.typing;
    if (message.element.nextElementSibling !== next) this.log.insertBefore(message.element, next);
    this.#arrange();
    if (message.element.dataset.author === "customer") this.#end.stay();
    else this.#end.news();
  }

  // Statuses only climb. `anew`: a message that was never accepted begins again, or fails again.
  #climb(message, status, error, anew = false) {
    const known = message.element.dataset.status;
    if (known && !anew && !climbs(message.status, status)) return;
    message.status = status;
    const repeats = this.#said.get(message.text) === message;
    const once = repeats ? () => this.say(message.text) : null;
    showStatus(message.element, status, error || UNDELIVERED, anew ? () => this.again(message.clientId) : once);
    this.#end.stay();
  }

  #firstUnplaced() {
    const waiting = [...this.#byClientId.values()].filter(({ placed, status, element: node }) =>
      !placed && status !== "failed" && node.isConnected);
    return waiting[0] ? this.#withDay(waiting[0].element) : null;
  }

  #withDay(node) {
    const before = node.previousElementSibling;
    return before?.classList.contains("day") ? before : node;
  }

  // Once a reply was taken, here or in another tab, it is not offered again.
  #took(text) {
    const taken = this.#offers.filter(({ replies }) => replies.includes(text));
    for (const offer of taken) {
      for (const button of offer.element.querySelectorAll(".reply")) {
        button.disabled = true;
        button.toggleAttribute("data-taken", button.textContent === text);
      }
    }
    this.#offers = this.#offers.filter((offer) => !taken.includes(offer));
  }

  // Days between the messages; the name only where the author changes. What is right stays, or it would be read out anew.
  #arrange() {
    let day = null;
    let author = null;
    for (const node of [...this.log.children]) {
      if (node.classList.contains("day")) {
        const next = node.nextElementSibling;
        const right = node.dataset.day !== day && next?.dataset.at && dayOf(Number(next.dataset.at)) === node.dataset.day;
        if (right) [day, author] = [node.dataset.day, null];
        else node.remove();
      } else if (node.classList.contains("message")) {
        const at = Number(node.dataset.at);
        if (dayOf(at) !== day) {
          [day, author] = [dayOf(at), null];
          node.before(dayElement(at));
        }
        node.toggleAttribute("data-follows", node.dataset.author === author);
        author = node.dataset.author;
      } else {
        author = null;
      }
    }
  }
}
