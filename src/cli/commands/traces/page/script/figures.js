/** How long each turn of the user waited. */
function showTurns(turns, open) {
  if (!turns.length) return byId('turns').append(nothing('No turn of the user is in this trace.'));
  const longest = turns.reduce((most, turn) => Math.max(most, turn.first_content, turn.first_audio), 1);
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
  const row = (turn, place) => [link(turn, place), waited(turn.first_content), waited(turn.first_audio)];
  showTable(byId('turns'), ['turn', 'to first content', 'to first sound'], turns, row);
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
  const row = (own) => [
    own.agent ?? 'no agent',
    own.answers,
    total(own.input, kinds(own.input_text, own.input_audio, own.input_image)),
    own.input_cached,
    total(own.output, kinds(own.output_text, own.output_audio, 0)),
  ];
  showTable(byId('usage'), ['agent', 'answers', 'in', 'cached', 'out'], usage, row);
}
