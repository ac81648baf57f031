import { InvalidArgumentError } from 'commander';
import { integer } from '../config/parse.ts';
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

/** Parses an option that takes a whole number from `min` to `max`. */
export function wholeNumber(min: number, max = 999_999_999): (text: string) => number {
  return (text) => {
    const parsed = integer(min, max)(text);
    if (parsed.ok) return parsed.value;
    throw new InvalidArgumentError(`It ${parsed.problem}.`);
  };
}

/** Combining marks, joiners and variation selectors take no room of their own. */
const noRoom = /\p{Mn}|\p{Me}|[\u200b\u200c]|\u200d/u;
/** East Asian wide and full-width characters, and emoji, take two columns of a terminal. */
const double =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;

function widthOf(character: string): number {
  if (noRoom.test(character)) return 0;
  return double.test(character) ? 2 : 1;
}

/** How many columns of a terminal a text without control characters takes. */
export function displayWidth(text: string): number {
  return [...text].reduce((width, character) => width + widthOf(character), 0);
}

/** The text, or as much of its beginning as fits with an ellipsis behind it. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const [start = ''] = pieces(text, width - 1);
  return `${displayWidth(start) < width ? start : ''}…`;
}

/**
 * Lines of at most that width, escaped by `printable` and broken at blanks; a longer word is broken where it must be. Line
 * breaks stay.
 */
export function wrap(text: string, width: number): readonly string[] {
  return text.split(/\r\n|\r|\n/).flatMap((line) => {
    const lines: string[] = [];
    let current = '';
    const words = printable(line).split(/ +/);
    for (const word of words.flatMap((one) => pieces(one, width))) {
      const longer = current === '' ? word : `${current} ${word}`;
      const fits = displayWidth(longer) <= width;
      if (!fits) lines.push(current);
      current = fits ? longer : word;
    }
    return [...lines, current];
  });
}

/** The text in parts of at most that width, each with at least one character. */
function pieces(text: string, width: number): string[] {
  const found: string[] = [];
  let piece = '';
  let taken = 0;
  for (const character of text) {
    const more = widthOf(character);
    if (taken + more > width && piece !== '') {
      found.push(piece);
      piece = '';
      taken = 0;
    }
    piece += character;
    taken += more;
  }
  return [...found, piece];
}

type Cells = readonly (string | number)[];

/** Text in columns, escaped by `printable`, each as wide as its longest cell, two spaces between. Ends with a line break. */
export function renderTable(head: Cells, rows: readonly Cells[]): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => printable(String(cell))));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => displayWidth(line[column] ?? ''))));
  const padded = (cell: string, column: number): string =>
    cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)));
  return lines.map((line) => `${line.map(padded).join('  ').trimEnd()}\n`).join('');
}
