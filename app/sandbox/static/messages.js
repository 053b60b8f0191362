// Elements for messages and contacts. Whatever came from outside becomes text, never markup.

export const STATUS_WORDS = {
  queued: ["○", "Queued"], sent: ["✓", "Sent"], delivered: ["✓✓", "Delivered"],
  read: ["✓✓", "Read"], failed: ["!", "Failed"], accepted: ["○", "Accepted"], scheduled: ["○", "Scheduled"],
  undelivered: ["!", "Undelivered"], canceled: ["!", "Canceled"], received: ["✓", "Received"], sending: ["○", "Sending"],
};
const AUTHORS = {
  bot: "Bot", agent: "You", you: "You", business: "Business", network: "Network",
  twiml: "Application, in TwiML", rest: "Application, over REST",
};
export const PREVIEWS = { bot: "Bot: ", agent: "You: ", you: "You: ", twiml: "Answer: ", rest: "Written: " };

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Words from outside, in their own direction, which must not turn what stands beside them.
export function foreign(words) { return element("bdi", {}, words); }

export function paragraph(words) { return element("p", { class: "text", dir: "auto" }, words); }

export function shortTime(timestamp) {
  return new Date(timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function summary(message) {
  const by = {
    text: () => message.text,
    attachment: () => message.attachment.fileName || message.attachment.type,
    location: () => message.address || "location",
    quick_reply: () => message.title,
    parts: () => message.text || message.files[0]?.fileName || "A file",
  }[message.type];
  return by ? by() : message.type;
}

function link(url, words) {
  if (!/^https?:/i.test(url)) return words;
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, words);
}

// Flex sends words along with a file; respond.io does not.
function attachment({ text, attachment: { type, url, fileName, description } }) {
  const words = fileName || description || `Open ${type}`;
  const caption = text ? [paragraph(text)] : [];
  if (type !== "image") return [link(url, foreign(words)), ...caption];
  const picture = element("img", { src: url, class: "picture", alt: description || fileName || "Image" });
  const opened = link(url, picture);
  picture.addEventListener("error", () => opened.replaceChildren(foreign(words), " (no preview)"));
  return [opened, ...caption];
}

function location(message) {
  const longitude = message.longitude ?? message.longtitude;
  const place = `${message.latitude}, ${longitude}`;
  const map = `https://www.openstreetmap.org/?mlat=${message.latitude}&mlon=${longitude}`;
  const lines = message.address ? [paragraph(message.address)] : [];
  return [...lines, link(map, `Location ${place}`)];
}

// Texts, WhatsApp and Messenger: words with any number of files, and buttons that can be pressed.
function parts({ text, quote, files, buttons }) {
  const chips = buttons.map(({ text: words, payload }) =>
    element("li", {}, element("button", { type: "button", class: "chip", dir: "auto", "data-payload": payload }, words)));
  return [
    ...(quote ? [element("p", { class: "quote" }, element("span", { class: "unseen" }, "In reply to: "), foreign(quote))] : []),
    ...files.flatMap((file) => attachment({ attachment: file })),
    ...(text ? [paragraph(text)] : []),
    ...(chips.length ? [element("ul", { class: "chips", "aria-label": "Buttons" }, ...chips)] : []),
  ];
}

const BODIES = {
  parts,
  text: (message) => [paragraph(message.text)],
  attachment,
  location,
  quick_reply: (message) => [
    paragraph(message.title),
    element("ul", { class: "chips", "aria-label": "Replies" }, ...message.replies.map((reply) => element("li", { dir: "auto" }, reply))),
  ],
};

function body(message) {
  const build = BODIES[message.type];
  return build ? build(message) : [JSON.stringify(message)];
}

export function messageElement(entry, contactName) {
  const author = AUTHORS[entry.author] || contactName;
  const article = element("article", { class: "message", "data-testid": "message", "data-author": entry.author },
    element("p", { class: "author" }, foreign(author)),
    ...body(entry.message),
    element("p", { class: "foot" }, element("span", {}, shortTime(entry.timestamp)), element("span", { class: "ticks" })),
    element("p", { class: "problem" }));
  updateMessage(article, entry);
  return article;
}

// Only what changes after a message was shown, so that a live region does not read it out again.
export function updateMessage(article, entry) {
  const status = entry.status || "";
  article.dataset.mid = entry.mId || "";
  if (article.dataset.status === status) return;
  article.dataset.status = status;
  const [sign, words] = STATUS_WORDS[status] || ["", ""];
  const ticks = article.querySelector(".ticks");
  ticks.dataset.status = status;
  ticks.title = words;
  ticks.replaceChildren(
    element("span", { "aria-hidden": "true" }, sign), element("span", { class: "unseen" }, words));
  ticks.hidden = !words;
  article.querySelector(".problem").textContent = entry.error || "";
}

export function contactElement(contact, isCurrent, choose) {
  const { last, unread, name, contactId, via } = contact;
  const who = PREVIEWS[last?.author] || "";
  const initial = [...name].find((letter) => /[\p{L}\p{N}]/u.test(letter)) || "#";
  const badge = element("span", { class: "unread" }, String(unread), element("span", { class: "unseen" }, " unread"));
  const button = element("button", {
    type: "button", class: "contact", "data-testid": `contact-${contactId}`, "aria-current": String(isCurrent),
  },
  element("span", { class: "face", "aria-hidden": "true" }, initial.toUpperCase()),
  element("span", { class: "name" }, foreign(name)),
  element("span", { class: "when" }, last ? shortTime(last.timestamp) : ""),
  element("span", { class: "preview" }, via ? `${via} · ` : "", ...(last ? [who, foreign(summary(last.message))] : ["No messages yet"])),
  unread ? badge : "");
  button.addEventListener("click", () => choose(contactId));
  return element("li", {}, button);
}
