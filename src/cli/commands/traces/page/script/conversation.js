/** Characters of a text that an entry shows; the span has the rest. */
const SHOWN = 1_000;

/** What was said and done, in order. */
class Conversation {
  #places = new Map();
  #current = null;

  /** @param {(span: number) => void} open What to do when an entry's span is to be seen. */
  constructor(entries, open) {
    const list = byId('conversation');
    list.addEventListener('click', (event) => {
      const entry = event.target.closest('[data-span]');
      if (entry) open(Number(entry.dataset.span));
    });
    for (const [place, { span }] of entries.entries()) {
      if (!this.#places.has(span)) this.#places.set(span, place);
    }
    const make = (entry) =>
      element('li', { class: entry.kind }, element('button', { type: 'button', class: 'entry', 'data-span': entry.span }, ...parts(entry)));
    this.list = new LongList(list, list, entries, make);
    if (!entries.length) list.append(element('li', { class: 'none' }, 'No words are in this trace.'));
  }

  /** Shows which entry is of the selected span. */
  select(span) {
    this.#current?.removeAttribute('aria-current');
    const place = this.#places.get(span);
    this.#current = place === undefined ? null : this.list.at(place).firstChild;
    this.#current?.setAttribute('aria-current', 'true');
    this.#current?.scrollIntoView({ block: 'nearest' });
  }
}

const shortened = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);

/** What an entry shows, by its kind. */
function parts(entry) {
  const who = { user: 'User', system: 'System', assistant: entry.agent ?? 'Assistant' }[entry.kind];
  const time = element('time', {}, duration(entry.at));
  const error = entry.error === null ? null : element('span', { class: 'error' }, entry.error);
  if (who) {
    const words = entry.text ?? '(the words are not in the trace)';
    return [element('span', { class: 'who' }, who, time), element('span', { class: 'text' }, shortened(words)), error];
  }
  const name = element('span', { class: 'who' }, `${entry.kind} `, element('b', {}, entry.name), time);
  if (entry.kind === 'guardrail') return [name, element('span', { class: 'error' }, 'triggered'), error];
  const given = entry.text === null ? null : element('code', {}, shortened(entry.text));
  const result = entry.output === null ? null : element('code', {}, `→ ${shortened(entry.output)}`);
  return [name, given, result, error];
}
