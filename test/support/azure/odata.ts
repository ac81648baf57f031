import { isJsonArray, isJsonObject, type JsonValue } from '../../../src/ground/json.ts';

/**
 * The part of OData 4.01's `$filter` that Sentinel's incidents are asked with: and, or, not, parentheses, comparisons,
 * contains, startswith, endswith, toLower, and any() over the labels, with what Azure gets wrong.
 * https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html
 */
export type Filter = (resource: JsonValue) => boolean;

/** Its message is for the answer's text. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
  readonly code = 'filter_error';
}

/** What can be asked for; another name is refused, as Azure does. */
const properties = new Set([
  'additionalData',
  'classification',
  'classificationReason',
  'createdTimeUtc',
  'description',
  'firstActivityTimeUtc',
  'incidentNumber',
  'labels',
  'lastActivityTimeUtc',
  'lastModifiedTimeUtc',
  'owner',
  'providerName',
  'severity',
  'status',
  'title',
]);

type Scope = ReadonlyMap<string, JsonValue>;
type Test = (scope: Scope) => boolean;
type Operand = (scope: Scope) => JsonValue;

interface Token {
  readonly type: 'string' | 'time' | 'number' | 'name' | 'sign';
  readonly text: string;
}

const tokenPattern =
  /\s*(?:('(?:[^']|'')*')|(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w./]*)|([(),:]))/y;
const tokenTypes = ['string', 'time', 'number', 'name', 'sign'] as const;
const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
};
const textTests: Readonly<Record<string, (text: string, part: string) => boolean>> = {
  contains: (text, part) => text.includes(part),
  startswith: (text, part) => text.startsWith(part),
  endswith: (text, part) => text.endsWith(part),
};

/** Throws a FilterError for what is no filter. */
export function parseFilter(text: string): Filter {
  const tokens = tokensOf(text);
  refuseLambdas(tokens);
  const test = new FilterParser(tokens).parse();
  return (resource) => test(new Map([['', resource]]));
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const trimmed = text.trimEnd();
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < trimmed.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(trimmed);
    if (match === null) throw new FilterError(`Syntax error at position ${at} in '${text}'.`);
    const group = match.slice(1).findIndex((part) => part !== undefined);
    tokens.push({ type: tokenTypes[group] ?? 'sign', text: match[group + 1] ?? '' });
  }
  return tokens;
}

/** Azure takes an any() as the first and only one of a filter (Azure/azure-rest-api-specs#26569, #15391). */
function refuseLambdas(tokens: readonly Token[]): void {
  const begin = tokens.findIndex(({ text }) => text !== '(');
  const isMisplaced = tokens.some(({ type, text }, at) => type === 'name' && text.endsWith('/any') && at !== begin);
  if (isMisplaced) throw new FilterError('OData query syntax error');
}

class FilterParser {
  readonly #tokens: readonly Token[];
  #at = 0;
  /** Variables of the any() around. */
  readonly #variables: string[] = [];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): Test {
    const test = this.#or();
    if (this.#at < this.#tokens.length) throw this.#unexpected();
    return test;
  }

  #or(): Test {
    let left = this.#and();
    while (this.#takeName('or')) {
      const [one, other] = [left, this.#and()];
      left = (scope) => one(scope) || other(scope);
    }
    return left;
  }

  #and(): Test {
    let left = this.#primary();
    while (this.#takeName('and')) {
      const [one, other] = [left, this.#primary()];
      left = (scope) => one(scope) && other(scope);
    }
    return left;
  }

  #primary(): Test {
    if (this.#takeName('not')) {
      const test = this.#primary();
      return (scope) => !test(scope);
    }
    if (this.#takeSign('(')) {
      const test = this.#or();
      this.#expect(')');
      return test;
    }
    const next = this.#tokens[this.#at];
    if (next?.type === 'name') {
      const textTest = textTests[next.text.toLowerCase()];
      if (textTest !== undefined) return this.#textTest(textTest);
      if (next.text.endsWith('/any')) return this.#any();
    }
    return this.#comparison();
  }

  #textTest(test: (text: string, part: string) => boolean): Test {
    this.#at += 1;
    this.#expect('(');
    const text = this.#operand();
    this.#expect(',');
    const part = this.#operand();
    this.#expect(')');
    return (scope) => {
      const [whole, wanted] = [text(scope), part(scope)];
      return typeof whole === 'string' && typeof wanted === 'string' && test(whole, wanted);
    };
  }

  #any(): Test {
    const list = this.#path(this.#next().text.slice(0, -'/any'.length));
    this.#expect('(');
    const variable = this.#next().text;
    this.#expect(':');
    this.#variables.push(variable);
    const test = this.#or();
    this.#variables.pop();
    this.#expect(')');
    return (scope) => {
      const items = list(scope);
      return isJsonArray(items) && items.some((item) => test(new Map([...scope, [variable, item]])));
    };
  }

  #comparison(): Test {
    const begin = this.#at;
    const left = this.#operand();
    const operator = comparisons[this.#next().text];
    if (operator === undefined) throw this.#unexpected(-1);
    const right = this.#operand();
    if (isUndetermined(this.#tokens.slice(begin, this.#at))) return () => false;
    return (scope) => {
      const order = compare(left(scope), right(scope));
      return order !== null && operator(order);
    };
  }

  #operand(): Operand {
    const token = this.#next();
    switch (token.type) {
      case 'string': {
        const text = token.text.slice(1, -1).replaceAll("''", "'");
        return () => text;
      }
      case 'time':
        return () => token.text;
      case 'number':
        return () => Number(token.text);
      case 'name':
        break;
      case 'sign':
        throw this.#unexpected(-1);
    }
    if (token.text === 'null') return () => null;
    if (token.text.toLowerCase() !== 'tolower') return this.#path(token.text);
    this.#expect('(');
    const inner = this.#operand();
    this.#expect(')');
    return (scope) => {
      const value = inner(scope);
      return typeof value === 'string' ? value.toLowerCase() : value;
    };
  }

  #path(path: string): Operand {
    const [first = '', ...rest] = path.split('/');
    const isVariable = this.#variables.includes(first);
    if (!isVariable && (first !== 'properties' || !properties.has(rest[0] ?? ''))) {
      throw new FilterError(`Could not find a property named '${path}' on type 'Incident'.`);
    }
    return (scope) => {
      let value: JsonValue = scope.get(isVariable ? first : '') ?? null;
      for (const part of isVariable ? rest : [first, ...rest])
        value = isJsonObject(value) ? (value[part] ?? null) : null;
      return value;
    };
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new FilterError('The filter ends too early.');
    this.#at += 1;
    return token;
  }

  #takeName(name: string): boolean {
    const token = this.#tokens[this.#at];
    const isIt = token?.type === 'name' && token.text === name;
    if (isIt) this.#at += 1;
    return isIt;
  }

  #takeSign(sign: string): boolean {
    const token = this.#tokens[this.#at];
    const isIt = token?.type === 'sign' && token.text === sign;
    if (isIt) this.#at += 1;
    return isIt;
  }

  #expect(sign: string): void {
    if (!this.#takeSign(sign)) throw this.#unexpected();
  }

  #unexpected(offset = 0): FilterError {
    return new FilterError(`Syntax error: unexpected '${this.#tokens[this.#at + offset]?.text ?? 'end'}'.`);
  }
}

/** The one classification for which Azure finds nothing (Azure/azure-rest-api-specs#27165). */
function isUndetermined(comparison: readonly Token[]): boolean {
  const texts = comparison.map(({ text }) => text);
  const [left, operator, right] = texts[0] === "'Undetermined'" ? texts.toReversed() : texts;
  return left === 'properties/classification' && operator === 'eq' && right === "'Undetermined'";
}

/** Negative, 0 or positive; null when the two cannot be compared. A null is equal to nothing but null. */
function compare(left: JsonValue, right: JsonValue): number | null {
  if (left === null || right === null) return left === right ? 0 : Number.NaN;
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left !== 'string' || typeof right !== 'string') return null;
  const [a, b] = [comparable(left), comparable(right)];
  return a < b ? -1 : Number(a > b);
}

/** Times in one spelling, with seven decimals as Azure keeps them; other texts as they are. */
function comparable(text: string): string {
  const time = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z$/.exec(text);
  return time === null ? text : `${time[1]}.${(time[2] ?? '').padEnd(7, '0')}`;
}
