/** A row of a table; cells that are numbers stay in one line. */
function tableRow(tag, values) {
  const cell = (value) =>
    typeof value === 'number' ? element(tag, { class: 'number' }, count(value)) : element(tag, {}, value);
  return element('tr', {}, ...values.map(cell));
}

/** A table whose rows are made of items as they are scrolled to. */
function showTable(place, heads, items, row) {
  const body = element('tbody');
  place.append(element('table', {}, element('thead', {}, tableRow('th', heads)), body));
  new LongList(body, place, items, (item, index) => tableRow('td', row(item, index)));
}

const nothing = (words) => element('p', { class: 'none' }, words);
