import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface ParserParameter {
  readonly Name: string;
  readonly Type: string;
  /** As KQL; a parameter without one must be given. */
  readonly Default?: string | boolean | number;
}

/** A function of deploy/sentinel/Parsers, as its YAML file says. */
export interface Parser {
  readonly file: string;
  readonly id: string;
  readonly Function: { readonly Title: string; readonly Version: string; readonly LastUpdated: string };
  readonly Category: string;
  readonly FunctionName: string;
  readonly FunctionAlias: string;
  readonly FunctionParams?: readonly ParserParameter[];
  readonly FunctionQuery: string;
}

const PARSERS_URL = new URL('../../deploy/sentinel/Parsers/', import.meta.url);

export function readParsers(): readonly Parser[] {
  return readdirSync(PARSERS_URL)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => ({ ...(parse(readFileSync(new URL(file, PARSERS_URL), 'utf8')) as Parser), file }));
}

/** The parameters as a saved search has them in `functionParameters`: `at:datetime, disabled:bool = false`. */
export function parameterList(parser: Parser): string {
  return (parser.FunctionParams ?? []).map(parameterText).join(', ');
}

function parameterText({ Name, Type, Default }: ParserParameter): string {
  if (Default === undefined) return `${Name}:${Type}`;
  const value = Type === 'string' ? `'${Default}'` : String(Default);
  return `${Name}:${Type} = ${value}`;
}
