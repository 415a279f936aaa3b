/** Puts the parts of the page together. What is looked at stands in the page's address, so that it can be linked to. */
function start(report) {
  report.scripts.forEach((script, place) => (script.place = place));
  showHead(report);
  const scripts = new Scripts(report.scripts);
  const first = report.scripts.find(({ status }) => STATUSES[status].isWrong) ?? report.scripts[0];
  const show = () => {
    const [place, run, number] = location.hash.slice(1).split('-').map(Number);
    const script = (location.hash && report.scripts[place]) || first;
    if (!script) return byId('script').replaceChildren(nothing('There are no scripts in this report.'));
    const chosen = attemptsOf(script).find((one) => one.run.number === run && one.number === number);
    scripts.select(script);
    showScript(script, chosen);
    if (chosen) byId('attempt')?.focus();
  };
  addEventListener('hashchange', show);
  show();
}

/** What there is to say of all scripts together. */
function showHead({ program, started_at: startedAt, duration_ms: took, interrupted, totals, scripts }) {
  const facts = [
    interrupted ? element('strong', {}, 'interrupted') : null,
    `${startedAt.slice(0, 19).replace('T', ' ')} UTC`,
    `took ${millis(took)}`,
    counted(totals.scripts, 'script'),
    totals.attempts === totals.scripts ? null : `played ${counted(totals.attempts, 'time')}`,
    tokenWords(totals.tokens),
    `${program.name} ${program.version}`,
  ];
  byId('facts').append(...facts.filter(Boolean).map((fact) => element('span', {}, fact)));
  const table = latencies(totals);
  if (table && scripts.length > 1) document.querySelector('header').append(table);
}

start(JSON.parse(byId('data').textContent));
