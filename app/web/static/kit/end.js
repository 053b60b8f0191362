// The end of a log: whoever is there stays there while it grows, whoever reads further up is told of news instead.
const NEAR_END = 80; // pixels

export class End {
  #log; #latest; #isAt = true; #top = 0; // where the log stood when it last scrolled

  // `latest`: a button that leads to the end.
  constructor(log, latest) {
    [this.#log, this.#latest] = [log, latest];
    log.addEventListener("scroll", () => this.#scrolled());
    log.addEventListener("load", () => this.stay(), true); // pictures grow after they were shown
    latest.addEventListener("click", () => this.go());
    new ResizeObserver(() => this.stay()).observe(log);
  }

  go() {
    this.#isAt = true;
    this.#latest.hidden = true;
    this.stay();
  }

  stay() {
    if (this.#isAt) this.#log.scrollTop = this.#log.scrollHeight;
  }

  // Somebody else wrote.
  news() {
    if (!this.#isAt) this.#latest.hidden = false;
    this.stay();
  }

  // Only a person scrolls up; that pictures grew below is no reason to stay behind.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#log;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) this.#isAt = true;
    else if (scrollTop < this.#top) this.#isAt = false;
    this.#top = scrollTop;
    if (this.#isAt) this.#latest.hidden = true;
  }
}
