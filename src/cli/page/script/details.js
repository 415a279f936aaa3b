/** Names of fields as a person calls them; others are called as they are. */
const FIELDS = { input: 'Input', output: 'Output', usage: 'Usage', model_config: 'Settings', mcp_data: 'MCP', tools: 'Tools' };

/** All that is known of one span. */
class Details {
  /** @param {() => void} close What to do when it is to be closed. */
  constructor(data, close) {
    this.data = data;
    this.place = byId('details');
    this.close = close;
    this.place.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') close();
    });
  }

  get isOpen() {
    return !this.place.hidden;
  }

  show(index) {
    const span = this.data.spans[index];
    const close = element('button', { type: 'button', class: 'close', 'aria-label': 'Close' }, '×');
    close.addEventListener('click', this.close);
    const heading = element('h2', { tabindex: -1 }, element('span', { class: 'kind' }, span.kind), ' ', span.name);
    this.place.replaceChildren(
      element('div', { class: 'head', 'data-kind': span.kind }, heading, close),
      facts(span, this.data.started_at),
      ...remarks(span),
      ...content(span),
    );
    this.place.scrollTop = 0;
    this.place.hidden = false;
  }

  hide() {
    this.place.hidden = true;
  }

  focus() {
    this.place.querySelector('h2').focus();
  }
}

function facts(span, startedAt) {
  const list = element('dl', { class: 'facts' });
  const add = (name, value) => {
    if (value) list.append(element('div', {}, element('dt', {}, name), element('dd', {}, value)));
  };
  add('took', span.end === null ? '' : duration(span.end - span.start));
  add('began after', duration(span.start));
  add('first content after', span.first_content === null ? '' : duration(span.first_content - span.start));
  add('at', clockTime(startedAt, span.start));
  add('id', span.id);
  return list;
}

/** When a moment was, to the millisecond. */
function clockTime(startedAt, micros) {
  const moment = new Date(Date.parse(startedAt) + micros / 1_000);
  return Number.isNaN(moment.getTime()) ? '' : moment.toISOString().slice(11, 23);
}

function remarks(span) {
  const made = [];
  if (span.note !== null) made.push(element('p', { class: 'remark' }, span.note));
  const error = span.record?.error;
  if (error) {
    made.push(
      element('div', { class: 'error' }, element('strong', {}, error.message), error.data ? block(error.data) : null),
    );
  }
  return made;
}

/** What the span's kind tells, field by field, then its metadata. */
function content(span) {
  if (!span.record) return [];
  const { type, name, ...fields } = span.record.span_data;
  const all = [...Object.entries(fields), ['metadata', span.record.metadata]];
  return all
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([name, value]) => field(name, value));
}

function field(name, value) {
  const messages = ['input', 'output'].includes(name) && Array.isArray(value);
  const shown = messages ? value.map(message) : [typeof value === 'boolean' ? block(String(value)) : block(value)];
  if (messages && !value.length) shown.push(element('p', { class: 'none' }, 'nothing'));
  return element('section', { class: 'field' }, element('h3', {}, FIELDS[name] ?? name.replaceAll('_', ' ')), ...shown);
}

const block = (value) => element('pre', { tabindex: 0 }, readable(value));

/** One message that went into an answer or came out of it. */
function message(value) {
  const { role, content: words, tool_calls: calls } = value ?? {};
  if (typeof role !== 'string') return block(value);
  const made = element('div', { class: 'message' }, element('span', { class: 'role' }, role));
  if (words !== null && words !== undefined && words !== '') made.append(block(words));
  for (const call of Array.isArray(calls) ? calls : []) {
    const { name, arguments: given } = call?.function ?? {};
    made.append(element('span', { class: 'role' }, `calls ${name}`), block(given ?? ''));
  }
  return made;
}
