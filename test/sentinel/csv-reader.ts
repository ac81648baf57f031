/**
 * RFC 4180, strictly: records end with CRLF, fields are quoted or hold no quote, comma or line break. Throws for anything
 * else. Written from the RFC's grammar, and knows nothing of what wrote the text.
 */
export function readCsv(text: string): string[][] {
  const records: string[][] = [];
  let at = 0;
  while (at < text.length) {
    const record: string[] = [];
    for (;;) {
      const [field, next] = text[at] === '"' ? quoted(text, at) : bare(text, at);
      record.push(field);
      at = next;
      if (text[at] === ',') at += 1;
      else if (text.startsWith('\r\n', at)) break;
      else throw new SyntaxError(`neither comma nor CRLF at ${at}: ${JSON.stringify(text.slice(at - 20, at + 20))}`);
    }
    at += 2;
    records.push(record);
  }
  return records;
}

function quoted(text: string, start: number): [string, number] {
  let field = '';
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] !== '"') field += text[at];
    else if (text[at + 1] === '"') {
      field += '"';
      at += 1;
    } else return [field, at + 1];
  }
  throw new SyntaxError(`a quoted field at ${start} does not end`);
}

function bare(text: string, start: number): [string, number] {
  let at = start;
  while (at < text.length && !/[",\r\n]/.test(text[at] ?? '')) at += 1;
  return [text.slice(start, at), at];
}
