import { createHash } from 'node:crypto';

export type Value = null | boolean | number | string | readonly Value[] | { readonly [key: string]: Value };

const SUBSCRIPTION = '00000000-0000-4000-8000-00000000000a';
export const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/soc`;
export const TENANT = '00000000-0000-4000-8000-00000000000b';

/** The functions of Resource Manager that the templates use, but for those that need the deployment. */
export const functions: Readonly<Record<string, (...args: readonly Value[]) => Value>> = {
  and: (...args) => args.every(flag),
  or: (...args) => args.some(flag),
  not: (value = null) => !flag(value),
  equals: (a = null, b = null) => JSON.stringify(a) === JSON.stringify(b),
  empty: (value = null) => value === null || value === '' || (Array.isArray(value) && value.length === 0),
  // Of lists it makes one list.
  concat: (...args) =>
    args.every((arg) => Array.isArray(arg)) ? (args as readonly (readonly Value[])[]).flat() : args.map(text).join(''),
  join: (list = null, delimiter = null) => (list as readonly Value[]).map(text).join(text(delimiter)),
  replace: (original = null, old = null, by = null) => text(original).replaceAll(text(old), text(by)),
  string: (value = null) => (typeof value === 'string' ? value : JSON.stringify(value)),
  createArray: (...args) => args,
  createObject: (...args) =>
    Object.fromEntries(args.flatMap((key, index) => (index % 2 === 0 ? [[text(key), args[index + 1] ?? null]] : []))),
  split: (original = null, delimiter = null) => text(original).split(text(delimiter)),
  json: (value = null) => JSON.parse(text(value)) as Value,
  uniqueString: (...args) => guid(args.map(text).join('-')).replaceAll('-', '').slice(0, 13),
  null: () => null,
  guid: (...args) => guid(args.map(text).join('-')),
  resourceId: (...args) => {
    const texts = args.map(text);
    // Before the type there may be the group, and before that the subscription; neither has a slash.
    const [type = '', ...names] = texts.slice(texts.findIndex((part) => part.includes('/')));
    const [group = 'soc', subscription = SUBSCRIPTION] = texts.slice(0, texts.length - names.length - 1).toReversed();
    return `/subscriptions/${subscription}/resourceGroups/${group}/providers/${joinNames(type, names)}`;
  },
  subscriptionResourceId: (type = null, ...names) =>
    `/subscriptions/${SUBSCRIPTION}/providers/${joinNames(text(type), names.map(text))}`,
  resourceGroup: () => ({ id: GROUP, name: 'soc', location: 'westeurope' }),
  subscription: () => ({ subscriptionId: SUBSCRIPTION, tenantId: TENANT }),
};

function flag(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  throw new Error(`${JSON.stringify(value)} where true or false should be`);
}

function text(value: Value): string {
  if (typeof value === 'string') return value;
  throw new Error(`${JSON.stringify(value)} where text should be`);
}

/** `A.B/c/d` with names x, y: `A.B/c/x/d/y`. */
function joinNames(type: string, names: readonly string[]): string {
  const [provider = '', ...types] = type.split('/');
  if (types.length !== names.length) throw new Error(`${names.length} names for ${type}`);
  return [provider, ...types.flatMap((part, index) => [part, names[index] ?? ''])].join('/');
}

function guid(seed: string): string {
  const hex = createHash('sha256').update(seed).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}
