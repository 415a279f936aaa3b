/** A trace on the page: the waterfall of its spans, and all that is known of the one that is opened. */
class Trace {
  #opened = 0;

  /**
   * @param {{spans: object[], length: number, started_at: string | null}} trace
   * @param {(span: number) => void} onSelect What else to do when a span is selected.
   */
  constructor(trace, onSelect = () => {}) {
    this.trace = trace;
    this.onSelect = onSelect;
    this.details = new Details(trace, () => this.#close());
    this.waterfall = new Waterfall(new Spans(trace.spans), trace.length, {
      select: (index) => this.#select(index),
      open: (how) => this.#open(how),
      close: () => this.#close(),
    });
  }

  /** Selects a span and shows what is known of it. */
  go(index) {
    this.#select(index);
    this.#open({ focus: false });
  }

  #select(index) {
    this.#opened = index;
    this.waterfall.select(index);
    this.onSelect(index);
    if (this.details.isOpen) this.details.show(index);
  }

  #open({ focus = true } = {}) {
    if (!this.trace.spans.length) return;
    this.details.show(this.#opened);
    this.waterfall.select(this.#opened);
    if (focus) this.details.focus();
  }

  #close() {
    this.details.hide();
    byId('grid').focus();
  }
}
