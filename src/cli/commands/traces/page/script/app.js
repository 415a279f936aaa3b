/** Puts the parts of the page together. */
function start(data) {
  const trace = new Trace(data, (span) => conversation.select(span));
  const go = (span) => trace.go(span);
  const conversation = new Conversation(data.conversation, go);
  showTurns(data.turns, go);
  showUsage(data.usage);
  showHead(data);
}

/** Which trace it is, and what there is to say of it as a whole. */
function showHead({ trace, spans, started_at: startedAt, length }) {
  byId('workflow').textContent = trace.workflow_name || 'Trace';
  const errors = spans.filter((span) => span.error !== null).length;
  const facts = [
    element('code', {}, trace.id),
    startedAt === null ? null : `${startedAt.slice(0, 19).replace('T', ' ')} UTC`,
    duration(length),
    counted(spans.filter((span) => span.record !== null).length, 'span'),
    errors ? element('strong', {}, counted(errors, 'error')) : null,
    trace.group_id === null ? null : `group ${trace.group_id}`,
    ...Object.entries(trace.metadata ?? {}).map(([name, value]) => `${name}: ${readable(value)}`),
  ];
  byId('facts').append(...facts.filter(Boolean).map((fact) => element('span', {}, fact)));
}

start(JSON.parse(byId('data').textContent));
