/** How something stands: its mark, its word, and whether it is wrong. */
const STATUSES = {
  passed: { mark: '✓', word: 'passed' },
  flaky: { mark: '≈', word: 'flaky' },
  failed: { mark: '✗', word: 'failed', isWrong: true },
  broken: { mark: '!', word: 'broken', isWrong: true },
  timed_out: { mark: '◷', word: 'timed out', isWrong: true },
  not_run: { mark: '–', word: 'not run' },
};

/** The mark of a status; the word is read out where it is not seen. */
function statusMark(status) {
  const { mark, word } = STATUSES[status];
  return element('span', { class: 'mark-of', 'data-status': status, role: 'img', 'aria-label': word, title: word }, mark);
}

/** The mark of a status and its word. */
function statusWord(status) {
  const { mark, word } = STATUSES[status];
  const hidden = element('span', { 'aria-hidden': 'true' }, `${mark} `);
  return element('span', { class: 'status', 'data-status': status }, hidden, word);
}

/** A length of time in milliseconds, which may be null. */
const millis = (time) => duration(time === null ? null : time * 1_000);

/** A share in percent: 100 only if it is the whole, and 0 only if it is nothing. */
const percent = (share) => {
  const rounded = Number((100 * share).toFixed(1));
  const shown = share > 0 && share < 1 ? Math.min(99.9, Math.max(0.1, rounded)) : rounded;
  return `${shown} %`;
};

/** Pairs of a name and a value; those without a value are left out. */
function pairs(all) {
  const shown = all.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const pair = ([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value));
  return element('dl', { class: 'facts' }, ...shown.map(pair));
}

/** Where something stands in a file. */
const where = ({ file, line }) => element('span', { class: 'where' }, `${file}:${line}`);

/** Percentiles of how long users waited, for words and for sounds. */
function latencies({ first_word: word, first_sound: sound }) {
  const rows = [['first word', word], ['first sound', sound]].filter(([, measured]) => measured !== null);
  if (!rows.length) return null;
  const times = (of) => [of.p50_ms, of.p90_ms, of.p99_ms, of.max_ms].map((time) => element('span', { class: 'number' }, millis(time)));
  const body = rows.map(([name, of]) => tableRow('td', [name, ...times(of), of.count]));
  const heads = ['waited for', 'median', '90 %', '99 %', 'longest', 'answers'];
  return element('table', { class: 'latencies' }, element('thead', {}, tableRow('th', heads)), element('tbody', {}, ...body));
}

/** Tokens in a few words. */
function tokenWords({ total, input, input_cached: cached, output }) {
  if (!total) return '';
  return `${counted(total, 'token')} (in ${count(input)}${cached ? `, ${count(cached)} cached` : ''}; out ${count(output)})`;
}
