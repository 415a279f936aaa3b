/** The element with this id. */
const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Whatever a trace says comes in as text, so that it can never become markup.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes Those that are undefined, null or false are left out.
 * @param {...(Node | string | null | undefined)} children
 */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Runs `task` before the next frame, however often it is asked for until then. */
function onceAFrame(task) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      task();
    });
  };
}

/** A list that is made as it is scrolled to: what is far below does not hold up the page. */
class LongList {
  #made = 0;

  /**
   * @param {Element} list
   * @param {Element} scrolled What scrolls the list.
   * @param {unknown[]} items
   * @param {(item: unknown, index: number) => Element} make
   */
  constructor(list, scrolled, items, make) {
    Object.assign(this, { list, items, make });
    scrolled.addEventListener('scroll', () => {
      const below = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight;
      if (below < 2 * scrolled.clientHeight) this.#more();
    });
    this.#more();
  }

  /** The element of an item. */
  at(index) {
    while (this.#made <= index && this.#made < this.items.length) this.#more();
    return this.list.children[index];
  }

  #more() {
    const piece = this.items.slice(this.#made, this.#made + 200);
    this.list.append(...piece.map((item, place) => this.make(item, this.#made + place)));
    this.#made += piece.length;
  }
}
