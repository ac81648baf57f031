import { readFileSync } from 'node:fs';

/** Node's own options that `npm start` gives to the service, for who starts it otherwise. */
export function nodeOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly scripts: { readonly start: string };
  };
  const options = /^exec node (.*)src\/main\.ts serve \|\| node \1src\/main\.ts serve$/.exec(scripts.start)?.[1];
  if (options === undefined) throw new Error(`npm start is not as it was: ${scripts.start}`);
  return options.split(' ').filter((option) => option !== '');
}
