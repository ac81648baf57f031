/**
 * Reads ARM template expressions.
 * https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
 */

export type Expression =
  | { readonly type: 'value'; readonly value: string | number }
  | { readonly type: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly type: 'property'; readonly of: Expression; readonly name: string }
  | { readonly type: 'item'; readonly of: Expression; readonly index: number };

const MAX_LENGTH = 24_576;

/** The expression that a string of a template is; null when it is text. */
export function parseTemplateString(text: string): Expression | null {
  if (!text.startsWith('[') || text.startsWith('[[') || !text.endsWith(']')) return null;
  if (text.length > MAX_LENGTH)
    throw new Error(`an expression of ${text.length} characters, ${MAX_LENGTH} are allowed`);
  const tokens = tokenize(text.slice(1, -1));
  const [expression, rest] = parseExpression(tokens);
  if (rest.length > 0) throw new Error(`${rest.join(' ')} is left over in ${text}`);
  return expression;
}

/** A string of a template that is text, as Resource Manager reads it. */
export function textOf(text: string): string {
  return text.startsWith('[[') && text.endsWith(']') ? text.slice(1) : text;
}

function tokenize(text: string): readonly string[] {
  const tokens: string[] = [];
  const token = /\s+|('(?:[^']|'')*'|-?\d+|[A-Za-z_]\w*|[(),.[\]])/y;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new Error(`cannot be read from ${JSON.stringify(text.slice(at, at + 40))} on`);
    if (match[1] !== undefined) tokens.push(match[1]);
  }
  return tokens;
}

type Parsed<T> = readonly [T, readonly string[]];

function parseExpression(tokens: readonly string[]): Parsed<Expression> {
  let [expression, rest] = parsePrimary(tokens);
  while (rest[0] === '.' || rest[0] === '[') {
    const name = rest[1];
    if (rest[0] === '[') {
      if (!/^\d+$/.test(name ?? '') || rest[2] !== ']') throw new Error('an index that is no number in brackets');
      expression = { type: 'item', of: expression, index: Number(name) };
      rest = rest.slice(3);
      continue;
    }
    if (name === undefined || !/^\w+$/.test(name)) throw new Error('a dot without the name of a property');
    expression = { type: 'property', of: expression, name };
    rest = rest.slice(2);
  }
  return [expression, rest];
}

function parsePrimary([token, ...rest]: readonly string[]): Parsed<Expression> {
  if (token === undefined) throw new Error('the expression ends too early');
  if (token.startsWith("'")) return [{ type: 'value', value: token.slice(1, -1).replaceAll("''", "'") }, rest];
  if (/^-?\d/.test(token)) return [{ type: 'value', value: Number(token) }, rest];
  if (!/^\w/.test(token) || rest[0] !== '(') throw new Error(`${token} is neither text nor a function`);
  const [args, after] = parseArguments(rest.slice(1));
  return [{ type: 'call', name: token, args }, after];
}

function parseArguments(tokens: readonly string[]): Parsed<readonly Expression[]> {
  const args: Expression[] = [];
  let rest = tokens;
  while (rest[0] !== ')') {
    const [argument, after] = parseExpression(rest);
    args.push(argument);
    if (after[0] !== ',' && after[0] !== ')') throw new Error(`${after[0] ?? 'the end'} where , or ) should be`);
    rest = after[0] === ',' ? after.slice(1) : after;
  }
  return [args, rest.slice(1)];
}
