/** Microseconds that can be zoomed in to. */
const LEAST_VIEW = 20;
/** Pixels between the moments on the ruler, at the least. */
const TICK = 90;
/** Microseconds of a second. */
const SECOND = 1_000_000;

/** What of the trace's time is in view. */
class View {
  constructor(length) {
    this.length = Math.max(length, LEAST_VIEW);
    this.all();
  }

  all() {
    this.set(0, this.length);
  }

  set(from, to) {
    const width = Math.min(Math.max(to - from, LEAST_VIEW), this.length);
    this.from = Math.min(Math.max(from, 0), this.length - width);
    this.to = this.from + width;
  }

  /** Brings a stretch of time into view, with something of what is around it. */
  show(from, to) {
    const margin = Math.max((to - from) / 10, LEAST_VIEW / 2);
    this.set(from - margin, to + margin);
  }

  get width() {
    return this.to - this.from;
  }

  /** Zooms by a factor; what is at `center`, a part of the width, stays there. */
  zoom(factor, center = 0.5) {
    const still = this.from + center * this.width;
    const width = Math.min(this.width / factor, this.length);
    this.set(still - center * width, still + (1 - center) * width);
  }

  /** Moves by a part of the width. */
  move(part) {
    this.set(this.from + part * this.width, this.to + part * this.width);
  }

  /** The place of a moment in percent, for moments far outside just outside. */
  place(moment) {
    return Math.min(Math.max((100 * (moment - this.from)) / this.width, -1), 101);
  }

  /** Microseconds between the moments on the ruler, a round number for which there is room. */
  step(pixels) {
    const least = (this.width * TICK) / Math.max(pixels, TICK);
    const [unit, digits] = least > 30 * SECOND ? [60 * SECOND, [1, 2, 5, 10, 30, 60]] : [1, [1, 2, 5, 10]];
    const power = 10 ** Math.max(Math.floor(Math.log10(least / unit)), 0);
    return digits.map((digit) => digit * power * unit).find((step) => step >= least);
  }
}
