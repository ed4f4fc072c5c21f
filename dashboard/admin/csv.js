// Reads CSV as spreadsheets write it (RFC 4180, and other delimiters). Pure.

const DELIMITERS = [",", ";", "\t", "|"];

// The most frequent one outside of quotes.
function delimiterOf(line) {
  const bare = line.replace(/"[^"]*"?/g, "");
  const counts = DELIMITERS.map((delimiter) => bare.split(delimiter).length);
  return DELIMITERS[counts.indexOf(Math.max(...counts))];
}

/** What is between the quote at `begin` and the one that closes it, and where it ends; null if none closes it. */
function quotedAt(text, begin) {
  let content = "";
  for (let from = begin + 1; ;) {
    const end = text.indexOf('"', from);
    if (end < 0) return null;
    content += text.slice(from, end);
    if (text[end + 1] !== '"') return { content, end: end + 1 };
    content += '"';
    from = end + 2;
  }
}

/** The rows of a text, each with the line in which it begins and its cells. Rows without content are left out. */
function rowsOf(text, delimiter, firstLine) {
  const rows = [];
  let [at, line] = [0, firstLine];
  while (at < text.length) {
    const row = { line, cells: [] };
    const begin = at;
    for (let isEnd = false; !isEnd;) {
      const quoted = text[at] === '"' ? quotedAt(text, at) : { content: "", end: at };
      if (quoted === null) throw new Error(`A quote in the row that begins in line ${line} is never closed.`);
      at = quoted.end;
      while (at < text.length && text[at] !== delimiter && text[at] !== "\n") at += 1;
      row.cells.push(`${quoted.content}${text.slice(quoted.end, at)}`.trim());
      isEnd = text[at] !== delimiter;
      at += 1;
    }
    line += text.slice(begin, at).split("\n").length - 1;
    if (row.cells.some((cell) => cell !== "")) rows.push(row);
  }
  return rows;
}

/** The names in the first row, and the rows after it. Cells are trimmed, and those that spreadsheets add are left out. */
export function parseCsv(text) {
  // Excel may name the delimiter in a line of its own.
  const [, named] = /^sep=([,;\t|])\r?\n/.exec(text) ?? [];
  const rest = named ? text.slice(text.indexOf("\n") + 1) : text;
  const delimiter = named ?? delimiterOf(/[^\n]*\S[^\n]*/.exec(rest)?.[0] ?? "");
  const [head, ...rows] = rowsOf(rest, delimiter, named ? 2 : 1);
  if (head === undefined) throw new Error("The file is empty.");
  const columns = head.cells;
  while (columns.at(-1) === "") columns.pop();
  for (const { cells } of rows) while (cells.length > columns.length && cells.at(-1) === "") cells.pop();
  return { columns, rows };
}
