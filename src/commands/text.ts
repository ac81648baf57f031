/**
 * For a terminal: control characters as `\u001b`, line breaks and tabs as they are. Bodies, reasons and feeds are somebody
 * else's text, and an escape sequence in one could rewrite what the operator sees.
 */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]|[\u2028\u2029]/gu, (character) => {
    const codes = [...Array(character.length).keys()].map((index) => character.charCodeAt(index));
    return codes.map((code) => `\\u${code.toString(16).padStart(4, '0')}`).join('');
  });
}

/** To the second, UTC. */
export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
