/** What a generated file is made of. */
export type Json = null | boolean | number | string | readonly Json[] | JsonFields;

export interface JsonFields {
  readonly [key: string]: Json;
}

const LINE_WIDTH = 120;

/**
 * A JSON document as the repository's formatter would leave it: lists of plain values and records of plain values in a
 * list on one line where they fit, so that a change of one column is one line of a diff.
 */
export function formatJson(document: Json): string {
  return `${format(document, '', 0, false)}\n`;
}

/** `reserved`: characters of the line that are not the value's, the key before it and the comma behind it. */
function format(value: Json, indent: string, reserved: number, inList: boolean): string {
  if (isList(value)) return formatList(value, indent, reserved);
  if (!isFields(value)) return JSON.stringify(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  if (inList && isPlainRecord(value) && fits(formatInLine(value), indent, reserved)) return formatInLine(value);
  const inner = `${indent}  `;
  const lines = entries.map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `;
    return inner + name + format(item, inner, name.length + 1, false);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

function formatList(list: readonly Json[], indent: string, reserved: number): string {
  const oneLine = `[${list.map(formatInLine).join(', ')}]`;
  const isShallow = list.every((item) => isPlain(item) || isPlainRecord(item));
  if (isShallow && fits(oneLine, indent, reserved)) return oneLine;
  const inner = `${indent}  `;
  return `[\n${list.map((item) => inner + format(item, inner, 1, true)).join(',\n')}\n${indent}]`;
}

function formatInLine(value: Json): string {
  if (!isFields(value)) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${JSON.stringify(item)}`);
  return `{ ${entries.join(', ')} }`;
}

function fits(text: string, indent: string, reserved: number): boolean {
  return indent.length + reserved + text.length <= LINE_WIDTH;
}

function isPlain(value: Json): boolean {
  return typeof value !== 'object' || value === null;
}

function isPlainRecord(value: Json): boolean {
  return isFields(value) && Object.values(value).every(isPlain);
}

export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isFields(value: Json): value is JsonFields {
  return typeof value === 'object' && value !== null && !isList(value);
}
