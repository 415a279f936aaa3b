/** How long each turn of the user waited. */
function showTurns(turns, open) {
  if (!turns.length) return byId('turns').append(nothing('No turn of the user is in this trace.'));
  const longest = turns.reduce((most, turn) => Math.max(most, turn.first_content, turn.first_audio, turn.first_played), 1);
  const waited = (micros) => {
    const bar = element('span', { class: 'wait' });
    bar.style.width = `${(100 * (micros ?? 0)) / longest}%`;
    return element('span', { class: 'waited' }, element('span', {}, duration(micros) || '–'), bar);
  };
  const link = (turn, place) => {
    const words = `${place + 1}, at ${duration(turn.ended)}`;
    const title = turn.ended_by && { title: `its end is known by ${turn.ended_by}` };
    const button = element('button', { type: 'button', class: 'link', ...title }, words);
    button.addEventListener('click', () => open(turn.span));
    return button;
  };
  const isPlayed = turns.some((turn) => turn.first_played !== null);
  const heard = (turn) => (isPlayed ? [waited(turn.first_played)] : []);
  const row = (turn, place) => [link(turn, place), waited(turn.first_content), waited(turn.first_audio), ...heard(turn)];
  showTable(byId('turns'), ['turn', 'to first content', 'to first sound', ...(isPlayed ? ['heard'] : [])], turns, row);
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
