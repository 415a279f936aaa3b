/** Puts the parts of the page together. */
function start(data) {
  const spans = new Spans(data.spans);
  let opened = 0;

  const select = (index) => {
    opened = index;
    waterfall.select(index);
    conversation.select(index);
    if (details.isOpen) details.show(index);
  };
  const open = ({ focus = true } = {}) => {
    if (!data.spans.length) return;
    details.show(opened);
    waterfall.select(opened);
    if (focus) details.focus();
  };
  const close = () => {
    details.hide();
    byId('grid').focus();
  };
  const go = (index) => {
    select(index);
    open({ focus: false });
  };

  const details = new Details(data, close);
  const conversation = new Conversation(data.conversation, go);
  const waterfall = new Waterfall(spans, data.length, { select, open, close });
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
