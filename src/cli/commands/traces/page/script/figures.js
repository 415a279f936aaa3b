/** A table; cells that are numbers stand to the right. */
function table(heads, rows) {
  const cell = (tag) => (value) => element(tag, { class: typeof value === 'number' ? 'number' : null }, typeof value === 'number' ? count(value) : value);
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...heads.map(cell('th')))),
    element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map(cell('td'))))),
  );
}

const nothing = (words) => element('p', { class: 'none' }, words);

/** How long each turn of the user waited. */
function showTurns(turns, open) {
  if (!turns.length) return byId('turns').append(nothing('No turn of the user is in this trace.'));
  const longest = Math.max(...turns.flatMap((turn) => [turn.first_content ?? 0, turn.first_audio ?? 0]), 1);
  const waited = (micros) => {
    const bar = element('span', { class: 'wait' });
    bar.style.width = `${(100 * (micros ?? 0)) / longest}%`;
    return element('span', { class: 'waited' }, element('span', {}, duration(micros) || '–'), bar);
  };
  const link = (turn, place) => {
    const button = element('button', { type: 'button', class: 'link' }, `${place + 1}, at ${duration(turn.ended)}`);
    button.addEventListener('click', () => open(turn.span));
    return button;
  };
  const rows = turns.map((turn, place) => [link(turn, place), waited(turn.first_content), waited(turn.first_audio)]);
  byId('turns').append(table(['turn', 'to first content', 'to first sound'], rows));
}

/** The tokens of each agent. */
function showUsage(usage) {
  if (!usage.length) return byId('usage').append(nothing('No tokens are counted in this trace.'));
  const kinds = (text, audio, image) =>
    [[text, 'text'], [audio, 'audio'], [image, 'image']]
      .filter(([tokens]) => tokens)
      .map(([tokens, kind]) => `${count(tokens)} ${kind}`)
      .join(', ');
  const total = (tokens, detail) => element('span', {}, element('b', {}, count(tokens)), element('small', {}, detail));
  const rows = usage.map((own) => [
    own.agent ?? 'no agent',
    own.answers,
    total(own.input, kinds(own.input_text, own.input_audio, own.input_image)),
    own.input_cached,
    total(own.output, kinds(own.output_text, own.output_audio, 0)),
  ]);
  byId('usage').append(table(['agent', 'answers', 'in', 'cached', 'out'], rows));
}
