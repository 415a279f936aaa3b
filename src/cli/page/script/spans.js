/** The rows of the waterfall: which there are, and which are folded away. */
class Spans {
  #folded = new Set();

  /** @param {object[]} all The spans, each followed by those under it. */
  constructor(all) {
    this.all = all;
    this.#lay();
  }

  /** Whether there are others under it. */
  hasChildren(index) {
    return this.all[index + 1]?.parent === index;
  }

  isFolded(index) {
    return this.#folded.has(index);
  }

  /** Hides what is under a span, or shows it again. */
  fold(index, folded) {
    if (folded) this.#folded.add(index);
    else this.#folded.delete(index);
    this.#lay();
  }

  /** Unfolds all that a span is under. */
  reveal(index) {
    for (let parent = this.all[index].parent; parent !== null; parent = this.all[parent].parent) {
      this.#folded.delete(parent);
    }
    this.#lay();
  }

  /** The row that shows a span; of one that is folded away, the row before. */
  rowOf(index) {
    let low = 0;
    let high = this.shown.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.shown[middle] <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Finds the spans that are shown, in the order of rows. */
  #lay() {
    this.shown = [];
    for (let index = 0; index < this.all.length; index += 1) {
      this.shown.push(index);
      if (this.#folded.has(index)) {
        const { depth } = this.all[index];
        while (this.all[index + 1]?.depth > depth) index += 1;
      }
    }
  }
}
