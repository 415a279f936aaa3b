/** What came of a script: all of its runs, and all that is known of one attempt. */
function showScript(script, chosen) {
  const attempts = attemptsOf(script);
  const one = chosen ?? attempts.find(({ attempt }) => STATUSES[attempt.status].isWrong) ?? attempts[0];
  // Of an only attempt, all there is to say is said below.
  const isAlone = attempts.length <= 1;
  byId('script').replaceChildren(
    element('h2', { id: 'name' }, script.name),
    element('p', { class: 'verdict' }, statusWord(script.status), verdictWords(script)),
    pairs([
      ['script', element('code', {}, script.path)],
      ['agent file', element('code', {}, script.agent)],
      ['used', isAlone ? null : tokenWords(script.tokens)],
    ]),
    element('p', { class: 'rerun' }, element('span', { class: 'soft' }, 'Run it again: '), element('code', { class: 'whole', tabindex: 0 }, script.rerun)),
    ...(isAlone ? [] : [latencies(script) ?? '', runsTable(script, attempts, one)]),
    ...(one ? attemptParts(one.attempt, attemptName(script, one)) : [nothing('It did not come to a run of this script.')]),
  );
  if (one) drawTrace(one.attempt);
}

/** Every attempt with the run it is of. */
function attemptsOf({ runs }) {
  return runs.flatMap((run) => run.attempts.map((attempt, place) => ({ run, attempt, number: place + 1 })));
}

function attemptName(script, { run, number }) {
  const names = [];
  if (script.planned_runs > 1) names.push(`run ${run.number} of ${script.planned_runs}`);
  if (run.attempts.length > 1) names.push(`attempt ${number} of ${run.attempts.length}`);
  return names.join(', ');
}

/** How many runs passed, and how many have to. */
function verdictWords(script) {
  if (script.planned_runs === 1) return '';
  const passed = script.runs.filter(({ status }) => !STATUSES[status].isWrong).length;
  const needed = script.min_pass_rate < 1 ? `, of which ${percent(script.min_pass_rate)} have to pass` : '';
  const rate = script.pass_rate === null ? '' : ` (${percent(script.pass_rate)})`;
  const planned = script.runs.length < script.planned_runs ? `; ${script.planned_runs} were planned` : '';
  return `: ${passed} of ${counted(script.runs.length, 'run')} passed${rate}${needed}${planned}`;
}

/** A row for each attempt, which leads to it. */
function runsTable(script, attempts, chosen) {
  const place = element('div', { class: 'runs', tabindex: 0, role: 'region', 'aria-label': 'Runs' });
  const name = (one) => {
    const text = attemptName(script, one);
    const isCurrent = one.attempt === chosen.attempt ? 'true' : null;
    return element('a', { href: placeOf(script, one), 'aria-current': isCurrent }, text);
  };
  const row = (one) => [
    name(one),
    statusWord(one.attempt.status),
    element('span', { class: 'number' }, millis(one.attempt.duration_ms)),
    one.attempt.whole ? '' : 'in short',
  ];
  showTable(place, ['run', 'status', 'took', ''], attempts, row);
  return place;
}

/** What the address of the page ends with when an attempt is shown. */
const placeOf = (script, { run, number }) => `#${script.place}-${run.number}-${number}`;
