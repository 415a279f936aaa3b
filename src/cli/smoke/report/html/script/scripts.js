/** The list of scripts, of which those are shown that are asked for. */
class Scripts {
  #status = null;
  #current = null;

  constructor(scripts) {
    this.scripts = scripts;
    this.list = byId('scripts');
    this.find = byId('find');
    this.entries = scripts.map(scriptEntry);
    this.list.append(...this.entries);
    this.find.addEventListener('input', () => this.#show());
    this.list.addEventListener('keydown', (event) => this.#key(event));
    this.#buttons();
    this.#show();
  }

  /** Shows which script is looked at. */
  select(script) {
    this.#current?.removeAttribute('aria-current');
    this.#current = this.entries[script.place].firstChild;
    this.#current.setAttribute('aria-current', 'true');
    this.#reachable();
    this.entries[script.place].scrollIntoView({ block: 'nearest' });
  }

  /** A button for each status that there is. */
  #buttons() {
    const named = Object.keys(STATUSES).map((status) => [status, this.scripts.filter((script) => script.status === status).length]);
    const buttons = [[null, this.scripts.length], ...named.filter(([, many]) => many)].map(([status, many]) => {
      const shown = status === null ? ['All'] : [statusWord(status)];
      const button = element('button', { type: 'button', 'aria-pressed': status === null }, ...shown, ' ', element('b', {}, count(many)));
      button.addEventListener('click', () => {
        buttons.forEach((other) => other.setAttribute('aria-pressed', other === button));
        this.#status = status;
        this.#show();
      });
      return button;
    });
    byId('statuses').append(...buttons);
  }

  #show() {
    const sought = this.find.value.trim().toLowerCase();
    const fits = ({ name, path, status }) =>
      (this.#status === null || status === this.#status) && (name.toLowerCase().includes(sought) || path.toLowerCase().includes(sought));
    this.scripts.forEach((script, place) => (this.entries[place].hidden = !fits(script)));
    const shown = this.entries.filter((entry) => !entry.hidden).length;
    byId('found').textContent = shown === this.scripts.length ? '' : `${shown} of ${counted(this.scripts.length, 'script')}`;
    this.#reachable();
  }

  #links() {
    return this.entries.filter((entry) => !entry.hidden).map((entry) => entry.firstChild);
  }

  /** The tab key reaches one of the scripts; the arrow keys reach the others. */
  #reachable() {
    const links = this.#links();
    const one = links.includes(this.#current) ? this.#current : links[0];
    links.forEach((link) => link.setAttribute('tabindex', link === one ? 0 : -1));
  }

  #key(event) {
    const links = this.#links();
    const place = links.indexOf(document.activeElement);
    const moves = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: links.length - 1 };
    const target = links[moves[event.key]];
    if (!target || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    target.focus();
  }
}

function scriptEntry(script) {
  const rate = script.planned_runs > 1 ? `${script.runs.filter(({ status }) => !STATUSES[status].isWrong).length}/${script.planned_runs}` : '';
  return element(
    'li',
    {},
    element(
      'a',
      { href: `#${script.place}`, title: script.path },
      statusMark(script.status),
      element('span', { class: 'label' }, script.name),
      rate ? element('span', { class: 'soft number' }, rate) : null,
    ),
  );
}
