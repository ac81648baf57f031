import type { ConfigProblem } from '../config/parsed.ts';
import { type CommandContext, exitCodes, type TextOutput } from './context.ts';

/** `NAME: what is wrong`, one a line, and how many. */
export function reportProblems(output: TextOutput, problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ name, message }) => `${name}: ${message}\n`).join('');
  output.write(`${lines}${problems.length === 1 ? '1 problem' : `${problems.length} problems`} in the configuration\n`);
}

export function reportWarnings(output: TextOutput, warnings: readonly ConfigProblem[]): void {
  for (const { name, message } of warnings) output.write(`warning: ${name}: ${message}\n`);
}

/** Options or arguments that make no sense. Exit code 2. */
export function wrongUsage({ stderr }: CommandContext, message: string): number {
  stderr.write(`error: ${message}\n`);
  return exitCodes.usage;
}
