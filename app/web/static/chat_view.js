// Elements for messages. Whatever came from outside becomes text, never markup.

export const RANK = { waiting: -1, queued: 0, sent: 1, delivered: 2, read: 3 };
const TICKS = {
  waiting: ["clock", "Waiting to be sent"], queued: ["one", "Sent"], sent: ["one", "Sent"],
  delivered: ["two", "Delivered"], read: ["two", "Read"], failed: ["failed", "Not delivered"],
};
const NAMES = { customer: "You", bot: "Bot", agent: "Agent", system: "Notice" };
const LINK = /https?:\/\/[^\s<>"]+/gi;
const LONGEST_LINK = 2048;
const AFTER_LINK = new Set(".,;:!?'*_");

// The ladder of statuses: they only climb; `failed` ends unless proof of delivery arrives later.
export function climbs(from, to) {
  if (from === to) return false;
  if (to === "failed") return RANK[from] < RANK.delivered;
  if (from === "failed") return RANK[to] >= RANK.delivered;
  return RANK[to] > RANK[from];
}

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

// `choose(text)`: the visitor took a quick reply.
export function messageElement(author, content, choose) {
  const body = (BODIES[content.type] ?? unknown)(content, choose);
  return element("article", { class: "message", "data-testid": "message", "data-author": author },
    author === "bot" || author === "agent" ? element("span", { class: "face", "aria-hidden": "true" }, icon(author)) : null,
    element("p", { class: author === "customer" ? "author unseen" : "author" }, NAMES[author] ?? author),
    element("div", { class: "bubble" }, ...body),
    element("p", { class: "foot" }, element("time"), author === "customer" ? element("span", { class: "ticks", role: "img" }) : null));
}

export function showTime(message, at) {
  const moment = new Date(at);
  const time = message.querySelector("time");
  time.dateTime = moment.toISOString();
  time.textContent = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// Ticks are labelled images: their changes are not read out, unlike `problem`, the sentence that says what failed.
export function showStatus(message, status, problem, again) {
  message.dataset.status = status;
  message.querySelector(".problem")?.remove();
  const ticks = message.querySelector(".ticks");
  if (!ticks) return;
  const [sign, words] = TICKS[status];
  ticks.setAttribute("aria-label", words);
  ticks.title = words;
  ticks.replaceChildren(icon(sign));
  ticks.toggleAttribute("aria-hidden", false);
  if (status !== "failed") return;
  ticks.setAttribute("aria-hidden", "true"); // the sentence says it
  message.append(problemElement(problem, again));
}

function problemElement(words, again) {
  const line = element("p", { class: "problem" }, words);
  if (again) {
    const button = element("button", { type: "button", class: "plain", "data-testid": "again" }, "Try again");
    button.addEventListener("click", again);
    line.append(" ", button);
  }
  return line;
}

export function withdrawAgain(message) { message.querySelector(".problem [data-testid=again]")?.remove(); }

export function dayOf(at) { return new Date(at).toDateString(); }

export function dayElement(at) {
  const ago = Math.round((new Date(dayOf(Date.now())) - new Date(dayOf(at))) / 86_400_000);
  const date = new Date(at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
  return element("p", { class: "day", "data-day": dayOf(at) }, ["Today", "Yesterday"][ago] ?? date);
}

function link(url, ...children) {
  if (!/^https?:/i.test(url)) return element("span", {}, ...children);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

// How much of what was found is the link: not what ends a sentence, and a closing bracket only if it was opened in it.
function linkLength(found) {
  let open = 0;
  for (const letter of found) open += letter === "(" ? 1 : letter === ")" ? -1 : 0;
  let end = found.length;
  for (; end > 0; end -= 1) {
    const letter = found[end - 1];
    if (letter === ")" && open < 0) open += 1;
    else if (!AFTER_LINK.has(letter)) break;
  }
  return end;
}

// Whatever somebody wrote is shown in its own direction, and each of its lines in that line's.
function paragraph(text) {
  const line = element("p", { class: "text", dir: "auto" });
  let from = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    if (found.length > LONGEST_LINK) continue; // no address of a page; it stays text
    const url = found.slice(0, linkLength(found));
    if (url.endsWith("://")) continue;
    line.append(text.slice(from, index), link(url, element("bdi", { dir: "ltr" }, url)));
    from = index + url.length;
  }
  line.append(text.slice(from));
  return line;
}

function foreign(words) { return element("bdi", {}, words); }

function picture(url, words) {
  const image = element("img", { src: url, alt: words, class: "picture" });
  const opened = link(url, image);
  image.addEventListener("error", () => opened.replaceChildren(foreign(words), " (no preview)"));
  return opened;
}

function attachment({ kind, url, file_name: name, description, mime_type: mime }) {
  const words = description || name;
  if (kind === "image") return [picture(url, words || "Image"), ...(description ? [paragraph(description)] : [])];
  const file = link(url, element("span", { class: "file" }, icon("file"), words ? foreign(words) : "Open the file"));
  if (kind !== "video" && kind !== "audio") return [file];
  const player = element(kind, { src: url, controls: "", preload: "metadata", "aria-label": words || kind });
  if (mime && !player.canPlayType(mime)) return [file];
  const shown = element("div", { class: "media" }, player, ...(words ? [paragraph(words)] : []));
  player.addEventListener("error", () => shown.replaceWith(file));
  return [shown];
}

function location({ latitude, longitude, address }) {
  const place = `${latitude}, ${longitude}`;
  const map = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=16/${latitude}/${longitude}`;
  return [element("div", { class: "place" }, icon("place"), element("div", {},
    ...(address ? [element("p", { class: "text", dir: "auto" }, address)] : []),
    element("p", { class: "point" }, place), link(map, "Show on the map")))];
}

function quickReply({ title, replies }, choose) {
  const buttons = replies.map((reply) => {
    const button = element("button", { type: "button", class: "reply", dir: "auto", "data-testid": "reply" }, reply);
    button.addEventListener("click", () => choose(reply));
    return button;
  });
  return [paragraph(title), element("div", { class: "replies", role: "group", "aria-label": title }, ...buttons)];
}

function card({ text, images = [] }) {
  const pictures = images.map(({ url, label }) => element("figure", {}, picture(url, label || "Image"),
    label ? element("figcaption", { dir: "auto" }, label) : null));
  return [...(text ? [paragraph(text)] : []), ...pictures];
}

function unknown() { return [element("p", { class: "text" }, "This message cannot be shown here.")]; }

const BODIES = { text: ({ text }) => [paragraph(text)], attachment, location, quick_reply: quickReply, card };
