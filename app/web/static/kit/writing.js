// The field in which somebody writes: it grows with the words, Enter sends them, what is too long is counted and held back,
// and what is half written outlives a reload of its tab.
const WARN_BEFORE = 100; // characters

export class Writing {
  #field; #count; #limit; #draft = null;

  // `field` stands in its form; its `data-limit` is in characters, as the other side counts them. `count` is the line for it.
  constructor(field, count) {
    [this.#field, this.#count, this.#limit] = [field, count, Number(field.dataset.limit || Infinity)];
    field.addEventListener("input", () => this.#changed());
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      field.form.requestSubmit();
    });
  }

  // For whom it is: everybody has a draft of their own.
  open(whom) {
    this.#draft = `patchbay:draft:${whom}`;
    this.#show(read(this.#draft));
  }

  get words() { return this.#field.value.trim(); }

  get isTooLong() { return length(this.words) > this.#limit; }

  // Empties the field. The way back is for words that were refused, unless something else was written since.
  take() {
    const [words, draft] = [this.words, this.#draft];
    this.#show("");
    return () => {
      if (draft === this.#draft) this.#show(this.#field.value || words);
      else if (!read(draft)) keep(draft, words);
    };
  }

  focus() { this.#field.focus(); }

  #show(words) {
    this.#field.value = words;
    this.#changed();
  }

  #changed() {
    const field = this.#field;
    if (this.#draft) keep(this.#draft, field.value);
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
    this.#tellLength(length(this.words) - this.#limit);
  }

  #tellLength(over) {
    const words = over > 0 ? `${of(over)} too many: shorten it, or send it in parts.` : `${of(-over)} left.`;
    this.#count.textContent = over > -WARN_BEFORE ? words : "";
    this.#count.toggleAttribute("data-over", over > 0);
  }
}

function length(words) { return [...words].length; }

function of(count) { return `${count.toLocaleString("en")} ${count === 1 ? "character" : "characters"}`; }

function read(draft) {
  try { return sessionStorage.getItem(draft) ?? ""; } catch { return ""; } // without storage the page forgets
}

function keep(draft, words) {
  try {
    if (words) sessionStorage.setItem(draft, words);
    else sessionStorage.removeItem(draft);
  } catch { /* no storage */ }
}
