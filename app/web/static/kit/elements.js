// Elements for what people write. Whatever came from outside becomes text, never markup.

const ICONS = new URL("icons.svg", import.meta.url).pathname;
const LINK = /https?:\/\/[^\s<>"]+/gi;
const MAX_LINK = 2048;
const AFTER_LINK = new Set(".,;:!?'*_");

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

export function icon(name) {
  const [svg, use] = ["svg", "use"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${ICONS}#${name}`);
  svg.append(use);
  return svg;
}

export function timeOf(at) { return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }); }

// Words from outside, in their own direction, which must not turn what stands beside them.
export function foreign(words) { return element("bdi", {}, words); }

export function link(url, ...children) {
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
export function paragraph(text) {
  const line = element("p", { class: "text", dir: "auto" });
  let from = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    if (found.length > MAX_LINK) continue; // no address of a page; it stays text
    const url = found.slice(0, linkLength(found));
    if (url.endsWith("://")) continue;
    line.append(text.slice(from, index), link(url, element("bdi", { dir: "ltr" }, url)));
    from = index + url.length;
  }
  line.append(text.slice(from));
  return line;
}

export function picture(url, words) {
  const image = element("img", { src: url, alt: words, class: "picture" });
  const opened = link(url, image);
  image.addEventListener("error", () => opened.replaceChildren(foreign(words), " (no preview)"));
  return opened;
}

export function fileLink(url, words) {
  return link(url, element("span", { class: "file" }, icon("file"), words ? foreign(words) : "Open the file"));
}

export function place({ latitude, longitude, address }) {
  const map = `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=16/${latitude}/${longitude}`;
  return element("div", { class: "place" }, icon("place"), element("div", {},
    address ? element("p", { class: "text", dir: "auto" }, address) : null, link(map, `Location ${latitude}, ${longitude}`)));
}
