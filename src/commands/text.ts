import type { CommandContext, TextOutput } from './context.ts';

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

/**
 * The context of a command whose output may quote what somebody else wrote: an answer of Azure's or of a proxy, an event.
 * All of it goes through `printable`. In JSON that changes no value, since `\\u009b` in a string is the character itself.
 */
export function withPrintableOutput(context: CommandContext): CommandContext {
  return { ...context, stdout: printableOutput(context.stdout), stderr: printableOutput(context.stderr) };
}

function printableOutput(output: TextOutput): TextOutput {
  return {
    write: (text) => output.write(printable(text)),
    get isTTY() {
      return output.isTTY === true;
    },
    get columns() {
      return output.columns ?? 80;
    },
  };
}

/** To the second, UTC. */
export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
