/** A length of time in the unit that suits it; `micros` may be null. */
function duration(micros) {
  if (micros === null || micros === undefined) return '';
  if (micros === 0) return '0';
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  if (micros < 100_000) return `${Number((micros / 1_000).toPrecision(3))} ms`;
  if (micros < 1_000_000) return `${Math.round(micros / 1_000)} ms`;
  if (micros < 60_000_000) return `${(micros / 1_000_000).toFixed(2)} s`;
  const seconds = Math.round(micros / 1_000_000);
  return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ''}`;
}

const count = (number) => number.toLocaleString('en');
const counted = (number, what) => `${count(number)} ${what}${number === 1 ? '' : 's'}`;

/**
 * `text` laid out, if it is a JSON object or list; else as it is. It is laid out by its own characters, since reading
 * it and writing it anew would change long numbers and doubled keys.
 */
function laidOut(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g);
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  return tokens.reduce((laid, token, place) => {
    const isEmpty = '}]'.includes(token) && '{['.includes(tokens[place - 1]);
    if ('{['.includes(token)) {
      depth += 1;
      return laid + token + ('}]'.includes(tokens[place + 1]) ? '' : line());
    }
    if ('}]'.includes(token)) {
      depth -= 1;
      return laid + (isEmpty ? '' : line()) + token;
    }
    if (token === ',') return laid + token + line();
    return laid + (token === ':' ? ': ' : token);
  }, '');
}

/** A value as a person reads it. */
const readable = (value) => (typeof value === 'string' ? laidOut(value) : JSON.stringify(value, null, 2));
