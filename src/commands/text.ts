import { InvalidArgumentError } from 'commander';
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import { integer } from '../config/parse.ts';
import { Refusal } from '../config/variable.ts';
import type { CommandContext, TextOutput } from './context.ts';

/**
 * For a terminal: control characters as `\u001b`, line breaks and tabs as they are. Bodies, reasons and feeds are somebody
 * else's text, and an escape sequence in one could rewrite what the operator sees.
 */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (character) => {
    const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16));
    return units.map((code) => `\\u${code.padStart(4, '0')}`).join('');
  });
}

/**
 * The context of a command whose output may quote what somebody else wrote: an answer of Azure's or of a proxy, an event.
 * All of it goes through `printable`. In JSON that changes no value, since `\\u009b` in a string is the character itself.
 */
export function withPrintableOutput(context: CommandContext): CommandContext {
  const escaping = (output: TextOutput): TextOutput => ({ write: (text) => output.write(printable(text)) });
  return { ...context, stdout: escaping(context.stdout), stderr: escaping(context.stderr) };
}

/** To the second, UTC. `time`: milliseconds since the epoch, or ISO 8601. */
export function timeText(time: number | string): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

export function wholeNumber(min: number, max = 999_999_999): (text: string) => number {
  return (text) => {
    const parsed = integer(min, max)(text);
    if (parsed instanceof Refusal) throw new InvalidArgumentError(`It ${parsed.message}.`);
    return parsed;
  };
}

/** The text, or as much of its beginning as fits with an ellipsis behind it. */
export function cutToWidth(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  const [start = ''] = wrapAnsi(text, width - 1, { hard: true, trim: false, wordWrap: false }).split('\n');
  return `${stringWidth(start) < width ? start : ''}…`;
}

/**
 * Lines of at most that width, escaped by `printable` and broken at blanks; a longer word is broken where it must be. Line
 * breaks stay. The first line has `start` before it, the others as many blanks.
 */
export function wrap(text: string, width: number, start = ''): readonly string[] {
  const escaped = printable(text.replaceAll(/\r\n?/g, '\n'));
  const lines = wrapAnsi(escaped, width - start.length, { hard: true }).split('\n');
  return lines.map((line, index) => `${index === 0 ? start : ' '.repeat(start.length)}${line}`);
}

type Cells = readonly (string | number)[];

/** Text in columns, escaped by `printable`, each as wide as its longest cell, two spaces between. Ends with a line break. */
export function renderTable(head: Cells, rows: readonly Cells[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => printable(String(cell))));
  // Not Math.max(...), which takes some 120,000 arguments: an outbox can hold more records.
  const widths = head.map((_, column) =>
    lines.reduce((widest, line) => Math.max(widest, stringWidth(line[column] ?? '')), 0),
  );
  const padded = (cell: string, column: number): string =>
    cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - stringWidth(cell)));
  return lines.map((line) => `${line.map(padded).join('  ').trimEnd()}\n`).join('');
}
