// Elements for the messages and the people at a desk.
import { element, fileLink, foreign, icon, paragraph, picture, place, timeOf } from "./kit/elements.js";

// By status: its sign and its word.
const STATUSES = {
  accepted: ["clock", "Accepted"], scheduled: ["clock", "Scheduled"], queued: ["clock", "Queued"], sending: ["clock", "Sending"],
  sent: ["one", "Sent"], received: ["one", "Received"], delivered: ["two", "Delivered"], read: ["two", "Read"],
  failed: ["failed", "Failed"], undelivered: ["failed", "Undelivered"], canceled: ["failed", "Canceled"],
};
// By author: on which side, as whom, and how a list begins what they said. Whom one talks to is on the other side.
const AUTHORS = {
  agent: ["own", "You", "You: "], you: ["own", "You", "You: "], bot: ["own", "Bot", "Bot: "],
  twiml: ["own", "Application, in TwiML", "Answer: "], rest: ["own", "Application, over REST", "Written: "],
  business: ["other", "Business", ""], network: ["other", "Network", ""],
};

export function summary(message) {
  const by = {
    text: () => message.text,
    attachment: () => message.attachment.fileName || message.attachment.description || message.attachment.type,
    location: () => message.address || "location",
    quick_reply: () => message.title,
    parts: () => message.text || message.files[0]?.fileName || "A file",
  }[message.type];
  return by ? by() : message.type;
}

// Flex sends words along with a file, respond.io describes it.
function attachment({ text, attachment: { type, url, fileName, description } }) {
  const words = [text, description].filter(Boolean).map(paragraph);
  if (type === "image") return [picture(url, description || fileName || "Image"), ...words];
  return [fileLink(url, fileName || `Open ${type}`), ...words];
}

// Texts, WhatsApp and Messenger: words with any number of files, and buttons that can be pressed.
function parts({ text, quote, files, buttons }) {
  const replies = buttons.map(({ text: words, payload }) =>
    element("button", { type: "button", class: "reply", dir: "auto", "data-payload": payload }, words));
  return [
    ...(quote ? [element("p", { class: "quote" }, element("span", { class: "unseen" }, "In reply to: "), foreign(quote))] : []),
    ...files.flatMap((file) => attachment({ attachment: file })),
    ...(text ? [paragraph(text)] : []),
    ...(replies.length ? [element("div", { class: "replies", role: "group", "aria-label": "Buttons" }, ...replies)] : []),
  ];
}

const BODIES = {
  parts,
  text: ({ text }) => [paragraph(text)],
  attachment,
  location: (where) => [place({ ...where, longitude: where.longitude ?? where.longtitude })], // as the platform's manual has it
  quick_reply: ({ title, replies }) => [
    paragraph(title),
    element("ul", { class: "replies", "aria-label": "Replies" },
      ...replies.map((reply) => element("li", { class: "offer", dir: "auto" }, reply))),
  ],
};

export function messageElement({ author, message, timestamp, ...entry }, contactName) {
  const [side, name] = AUTHORS[author] ?? ["other", contactName];
  const body = BODIES[message.type]?.(message) ?? [JSON.stringify(message)];
  const article = element("article", { class: "message", "data-testid": "message", "data-author": author, "data-side": side },
    element("p", { class: name === "You" ? "author unseen" : "author" }, foreign(name)),
    element("div", { class: "bubble" }, ...body),
    element("p", { class: "foot" }, element("time", {}, timeOf(timestamp)), element("span", { class: "ticks" })),
    element("p", { class: "problem" }));
  updateMessage(article, entry);
  return article;
}

// Only what changes after a message was shown, so that a live region does not read it out again.
export function updateMessage(article, { status, mId, error }) {
  article.dataset.mid = mId || "";
  if (article.dataset.status === (status || "")) return;
  article.dataset.status = status || "";
  const [sign, words] = STATUSES[status] ?? [];
  const ticks = article.querySelector(".ticks");
  ticks.title = words ?? "";
  ticks.replaceChildren(...(words ? [icon(sign), element("span", { class: "unseen" }, words)] : []));
  article.querySelector(".problem").textContent = error || "";
}

// Two letters of a name; of an address, which has none, the last two digits.
function initials(name) {
  const letters = name.split(/\s+/u).map((word) => word.match(/[\p{L}\p{N}]/u)?.[0] ?? "").filter(Boolean);
  return /\p{L}/u.test(name) ? [letters[0], ...letters.slice(1).slice(-1)].join("").toUpperCase() : name.slice(-2);
}

// Somebody in the list, or a task: `note` is the `time` of the last message, or a `state` and its words.
export function contactElement({ key, testid = `contact-${key}`, name, last, via, unread, note }, isCurrent, choose) {
  const said = last ? [AUTHORS[last.author]?.[2] ?? "", foreign(summary(last.message))] : ["No messages yet"];
  const button = element("button", {
    type: "button", class: "contact", "data-testid": testid, "data-key": key, "aria-current": String(isCurrent),
  },
  element("span", { class: "face", "aria-hidden": "true" }, initials(name)),
  element("span", { class: "name" }, foreign(name)),
  element("span", { class: "when", "data-state": note?.state ?? "" }, note?.words ?? (note?.time ? timeOf(note.time) : "")),
  element("span", { class: "preview" }, via ? `${via} · ` : "", ...said),
  unread ? element("span", { class: "unread" }, String(unread), element("span", { class: "unseen" }, " unread")) : null);
  button.addEventListener("click", choose);
  return element("li", {}, button);
}
