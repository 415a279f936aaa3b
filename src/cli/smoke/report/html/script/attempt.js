/** Pixels of the waterfall beside its rows. */
const AROUND_ROWS = 150;
/** Characters of a line that is shown in full at once. */
const LONG_LINE = 2_000;

/** All that is known of an attempt; `name` is empty if it is the only one. */
function attemptParts(attempt, name) {
  const head = [
    name ? element('h3', { id: 'attempt', tabindex: -1 }, statusWord(attempt.status), `: ${name}`) : '',
    attempt.reason === null ? '' : element('p', { class: 'reason' }, attempt.reason),
    pairs([
      ['took', millis(attempt.duration_ms)],
      ['began', `${attempt.started_at.slice(0, 19).replace('T', ' ')} UTC`],
      ['used', tokenWords(attempt.tokens)],
      ['trace', attempt.trace_id && element('code', { class: 'whole' }, attempt.trace_id)],
    ]),
  ];
  if (!attempt.whole) {
    return [...head, nothing('This page tells in full of what went wrong and of the first attempt of each script that passed, as far as there is room. A report in JSON tells in full of this one as well.')];
  }
  const spans = attempt.spans.length
    ? element('section', { class: 'turn', 'data-wrong': isWrong(attempt.spans) ? '' : null }, element('h4', {}, 'Expected of the trace'), expectations(attempt.spans))
    : '';
  return [...head, ...attempt.turns.map(turnPart), spans, ...traceParts(attempt)];
}

const isWrong = (expectations) => expectations.some(({ met }) => met === false);

function turnPart(turn) {
  const waited = (what, time) => (time === null ? null : `first ${what} after ${millis(time)}`);
  const facts = [
    `at ${millis(turn.began_at_ms)}`,
    `took ${millis(turn.duration_ms)}`,
    waited('word', turn.first_word_ms),
    waited('sound', turn.first_sound_ms),
  ];
  return element(
    'section',
    { class: 'turn', 'data-wrong': isWrong(turn.expectations) ? '' : null },
    element('h4', {}, 'The user ', element('span', { class: 'act' }, turn.act)),
    element('p', { class: 'soft' }, where(turn), ' · ', facts.filter(Boolean).join(' · ')),
    element(
      'div',
      { class: 'sides' },
      turn.expectations.length ? expectations(turn.expectations) : nothing('Nothing is expected of this turn.'),
      turn.transcript.length
        ? element('ol', { class: 'conversation', 'aria-label': 'Transcript' }, ...turn.transcript.map(linePart))
        : nothing('Nothing was said.'),
    ),
  );
}

/** Classes of entries, by whose they are. */
const ENTRIES = { user: 'user', agent: 'assistant', tool: 'tool', note: 'told' };

function linePart({ from, name, text }) {
  const who = {
    user: () => element('span', { class: 'who' }, 'User'),
    agent: () => element('span', { class: 'who' }, name),
    tool: () => element('span', { class: 'who' }, 'tool ', element('b', {}, name)),
    note: () => null,
  }[from]();
  const words = from === 'tool' ? element('code', {}) : element('span', { class: 'text' });
  fill(words, text);
  return element('li', { class: ENTRIES[from] }, element('div', { class: 'entry' }, who, words));
}

/** Puts a text into an element; of a long one the beginning, and all of it when that is asked for. */
function fill(place, text) {
  if (text.length <= LONG_LINE) return place.append(text);
  const more = element('button', { type: 'button', class: 'link' }, `… all ${count(text.length)} characters`);
  more.addEventListener('click', () => place.replaceChildren(text));
  place.append(text.slice(0, LONG_LINE), ' ', more);
}

/** What was expected, and what became of it. */
function expectations(all) {
  return element('ul', { class: 'expectations', 'aria-label': 'Expectations' }, ...all.map(expectationPart));
}

function expectationPart(expectation) {
  const { expected, met, came, ruling } = expectation;
  const [status, word] = met === null ? ['not_run', 'not known'] : met ? ['passed', 'met'] : ['failed', 'not met'];
  const mark = element('span', { class: 'mark-of', 'data-status': status, role: 'img', 'aria-label': word, title: word }, STATUSES[status].mark);
  const told = element('div', {}, element('p', {}, element('span', { class: 'expected' }, expected), ' ', where(expectation)));
  if (came !== null) {
    const line = element('p', { class: 'came' }, element('b', {}, 'came: '));
    const words = element('span');
    fill(words, came);
    line.append(words);
    told.append(line);
  }
  if (met === null) told.append(element('p', { class: 'soft' }, 'The run ended before this could be told.'));
  if (ruling !== null) {
    told.append(element('p', { class: 'ruling' }, element('b', {}, ruling.holds ? 'judge agrees: ' : 'judge disagrees: '), ruling.reason));
  }
  return element('li', { 'data-met': met === null ? 'unknown' : String(met) }, mark, told);
}

/** The waterfall, which is drawn by `drawTrace` once it is on the page. */
function traceParts({ trace, trace_left_out: isLeftOut, trace_id: id }) {
  if (trace?.spans.length) {
    const place = element('section', { class: 'trace' }, element('h4', {}, 'Trace'));
    place.append(byId('trace').content.cloneNode(true));
    return [place];
  }
  if (isLeftOut) return [nothing(`The trace is too long for this page: realtime-run traces html ${id}`)];
  return id === null ? [] : [nothing('The spans of the trace are not in this report.')];
}

function drawTrace({ trace }) {
  if (!trace?.spans.length) return;
  const rows = trace.spans.length * ROW;
  document.querySelector('.spans').style.height = `min(${AROUND_ROWS + rows}px, 65vh)`;
  new Trace(trace);
}
