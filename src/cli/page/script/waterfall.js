/** Pixels of a row; the style sheet has the same. */
const ROW = 28;
/** Rows beyond the edges that are there already when they are scrolled to. */
const SPARE_ROWS = 8;
/** Pixels that a pointer must be dragged for it to mean a stretch of time. */
const DRAG = 6;

/** The rows of spans with their bars. Only rows in sight are in the document. */
class Waterfall {
  /**
   * @param {Spans} spans
   * @param {number} length Microseconds of the whole trace.
   * @param {{select: (index: number) => void, open: () => void, close: () => void}} on What to do when asked to.
   */
  constructor(spans, length, on) {
    this.spans = spans;
    this.view = new View(length);
    this.selected = 0;
    this.on = on;
    this.grid = byId('grid');
    this.rows = byId('rows');
    this.draw = onceAFrame(() => this.#draw());
    this.grid.addEventListener('scroll', this.draw);
    this.grid.addEventListener('keydown', (event) => this.#key(event));
    this.grid.addEventListener('click', (event) => this.#click(event));
    this.grid.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.grid.addEventListener('pointerdown', (event) => this.#drag(event));
    new ResizeObserver(this.draw).observe(this.grid);
    this.#buttons();
    this.draw();
  }

  /** Makes a span the selected one and brings it into sight. */
  select(index) {
    this.spans.reveal(index);
    this.selected = index;
    const top = this.spans.rowOf(index) * ROW;
    const { scrollTop, clientHeight } = this.grid;
    if (top < scrollTop) this.grid.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.grid.scrollTop = top + ROW - clientHeight;
    this.draw();
  }

  #buttons() {
    const zoom = (change) => () => {
      change();
      this.draw();
    };
    byId('zoom-in').addEventListener('click', zoom(() => this.view.zoom(2, this.#center())));
    byId('zoom-out').addEventListener('click', zoom(() => this.view.zoom(1 / 2, this.#center())));
    byId('zoom-all').addEventListener('click', zoom(() => this.view.all()));
    byId('zoom-span').addEventListener('click', zoom(() => this.#zoomToSelected()));
  }

  /** Where zooming should leave things in their place: at the selected span, if it is in view. */
  #center() {
    const span = this.spans.all[this.selected];
    const place = span ? this.view.place(span.start) / 100 : 0.5;
    return place >= 0 && place <= 1 ? place : 0.5;
  }

  #zoomToSelected() {
    const span = this.spans.all[this.selected];
    if (!span) return;
    const { start, end } = span;
    this.view.show(start, end ?? this.view.length);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.spans.all.length) return;
    const row = this.spans.rowOf(this.selected);
    const page = Math.max(Math.floor(this.grid.clientHeight / ROW) - 1, 1);
    const moveTo = (target) => {
      const last = this.spans.shown.length - 1;
      this.on.select(this.spans.shown[Math.min(Math.max(target, 0), last)]);
    };
    const actions = {
      ArrowDown: () => moveTo(row + 1),
      ArrowUp: () => moveTo(row - 1),
      PageDown: () => moveTo(row + page),
      PageUp: () => moveTo(row - page),
      Home: () => moveTo(0),
      End: () => moveTo(Infinity),
      ArrowRight: () => (event.shiftKey ? this.view.move(1 / 4) : this.#inwards(moveTo, row)),
      ArrowLeft: () => (event.shiftKey ? this.view.move(-1 / 4) : this.#outwards()),
      Enter: () => this.on.open(),
      Escape: () => this.on.close(),
      '+': () => this.view.zoom(2, this.#center()),
      '=': () => this.view.zoom(2, this.#center()),
      '-': () => this.view.zoom(1 / 2, this.#center()),
      0: () => this.view.all(),
      f: () => this.#zoomToSelected(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
    this.draw();
  }

  #inwards(moveTo, row) {
    if (this.spans.isFolded(this.selected)) this.spans.fold(this.selected, false);
    else if (this.spans.hasChildren(this.selected)) moveTo(row + 1);
  }

  #outwards() {
    const { parent } = this.spans.all[this.selected];
    if (this.spans.hasChildren(this.selected) && !this.spans.isFolded(this.selected)) {
      this.spans.fold(this.selected, true);
    } else if (parent !== null) {
      this.on.select(parent);
    }
  }

  #click(event) {
    const row = event.target.closest('[data-index]');
    if (!row) return;
    const index = Number(row.dataset.index);
    this.on.select(index);
    if (event.target.closest('.fold')) {
      this.spans.fold(index, !this.spans.isFolded(index));
      this.draw();
    } else {
      this.on.open({ focus: false });
    }
  }

  #wheel(event) {
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) {
      const track = this.#trackBox();
      this.view.zoom(Math.exp(-event.deltaY / 300), (event.clientX - track.left) / track.width);
    } else if (sideways && this.view.width < this.view.length) {
      this.view.move(sideways / 1000);
    } else {
      return;
    }
    event.preventDefault();
    this.draw();
  }

  /** Zooms to the stretch of time that is dragged over. */
  #drag(event) {
    if (event.button !== 0 || event.pointerType === 'touch' || !event.target.closest('.track')) return;
    const track = this.#trackBox();
    const at = ({ clientX }) => Math.min(Math.max((clientX - track.left) / track.width, 0), 1);
    const start = at(event);
    const mark = element('div', { class: 'selection' });
    const move = (moved) => {
      const [from, to] = [start, at(moved)].sort((a, b) => a - b);
      if ((to - from) * track.width < DRAG) return mark.remove();
      this.rows.append(mark);
      mark.style.left = `${track.offset + from * track.width}px`;
      mark.style.width = `${(to - from) * track.width}px`;
    };
    const stop = (moved) => {
      removeEventListener('pointermove', move);
      if (!mark.isConnected) return;
      mark.remove();
      const { from, width } = this.view;
      const [left, right] = [start, at(moved)].sort((a, b) => a - b);
      this.view.set(from + left * width, from + right * width);
      // The click that ends the drag is none.
      const swallow = (click) => click.stopPropagation();
      addEventListener('click', swallow, { capture: true });
      setTimeout(() => removeEventListener('click', swallow, { capture: true }));
      this.draw();
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', stop, { once: true });
  }

  /** Where the bars are: in the window, and from the left edge of the rows. */
  #trackBox() {
    const track = byId('ruler').getBoundingClientRect();
    return { left: track.left, width: track.width, offset: track.left - this.rows.getBoundingClientRect().left };
  }

  #draw() {
    // A page may have shown another trace meanwhile.
    if (!this.grid.isConnected) return;
    const { shown } = this.spans;
    const first = Math.max(Math.floor(this.grid.scrollTop / ROW) - SPARE_ROWS, 0);
    const count = Math.ceil(this.grid.clientHeight / ROW) + 2 * SPARE_ROWS;
    this.rows.style.height = `${shown.length * ROW}px`;
    this.grid.setAttribute('aria-rowcount', shown.length);
    this.#drawRuler();
    const rows = shown.slice(first, first + count).map((index, place) => this.#row(index, first + place));
    this.rows.replaceChildren(...rows);
    if (shown.length) this.grid.setAttribute('aria-activedescendant', `span-${this.selected}`);
  }

  #drawRuler() {
    const { view } = this;
    const ruler = byId('ruler');
    const step = view.step(ruler.clientWidth);
    const ticks = [];
    for (let moment = Math.ceil(view.from / step) * step; moment < view.to; moment += step) {
      const place = view.place(moment);
      const tick = element('span', {}, place < 92 ? duration(moment) : '');
      tick.style.left = `${place}%`;
      ticks.push(tick);
    }
    ruler.replaceChildren(...ticks);
    this.grid.style.setProperty('--step', `${(ruler.clientWidth * step) / view.width}px`);
    this.grid.style.setProperty('--shift', `${(-ruler.clientWidth * view.from) / view.width}px`);
    byId('window').style.left = `${(100 * view.from) / view.length}%`;
    byId('window').style.width = `${(100 * view.width) / view.length}%`;
    byId('view').textContent = `${duration(view.from)} – ${duration(view.to)}`;
  }

  #row(index, row) {
    const span = this.spans.all[index];
    const folds = this.spans.hasChildren(index);
    const made = element(
      'div',
      {
        role: 'row',
        id: `span-${index}`,
        class: 'row',
        'data-index': index,
        'data-kind': span.kind,
        'data-wrong': span.error !== null ? '' : null,
        'aria-level': span.depth + 1,
        'aria-rowindex': row + 1,
        'aria-selected': index === this.selected,
        'aria-expanded': folds ? !this.spans.isFolded(index) : null,
      },
      this.#name(span, folds),
      element('div', { role: 'gridcell', class: 'took' }, duration(span.end === null ? null : span.end - span.start)),
      this.#bars(span),
    );
    made.style.top = `${row * ROW}px`;
    return made;
  }

  #name(span, folds) {
    const name = element(
      'div',
      { role: 'gridcell', class: 'name', title: `${span.kind} ${span.name}` },
      element('span', { class: folds ? 'fold' : 'leaf', 'aria-hidden': 'true' }),
      element('span', { class: 'kind' }, span.kind),
      element('span', { class: 'label' }, span.name),
      span.error === null ? null : element('span', { class: 'wrong' }, 'error'),
      span.note === null ? null : element('span', { class: 'note' }, span.note),
    );
    name.style.setProperty('--depth', Math.min(span.depth, 12));
    return name;
  }

  #bars(span) {
    const { view } = this;
    const [left, right] = [view.place(span.start), view.place(span.end ?? view.length)];
    const bar = element('div', { class: 'bar', 'data-open': span.end === null ? '' : null });
    bar.style.left = `${left}%`;
    bar.style.width = `${right - left}%`;
    const track = element('div', { role: 'gridcell', class: 'track' }, bar);
    if (span.first_content !== null) {
      const mark = element('div', { class: 'mark', title: `first content after ${duration(span.first_content - span.start)}` });
      mark.style.left = `${view.place(span.first_content)}%`;
      track.append(mark);
    }
    return track;
  }
}
