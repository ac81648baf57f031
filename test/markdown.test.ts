import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/* What a Markdown file may look like in an editor and not on a page: the mistakes that were made here before. */

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root }).map((file) => file.replaceAll('\\', '/'));

const FENCE = /^ *(`{3,}|~{3,})(.*)$/;

interface Line {
  readonly number: number;
  readonly text: string;
}

/** The lines that are text and not code, and the fences that never end. */
function prose(text: string): { readonly lines: readonly Line[]; readonly openFence: number | null } {
  const lines: Line[] = [];
  let fence: { readonly mark: string; readonly number: number } | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const [, mark = '', rest = ''] = FENCE.exec(line) ?? [];
    if (fence === null && mark !== '') fence = { mark, number: index + 1 };
    else if (fence !== null && mark.startsWith(fence.mark) && rest.trim() === '') fence = null;
    else if (fence === null) lines.push({ number: index + 1, text: line });
  }
  return { lines, openFence: fence?.number ?? null };
}

/** Runs of lines between blank ones, headings and rows of tables each alone: a code span never goes past its block. */
function blocksOf(lines: readonly Line[]): Line[] {
  const blocks: Line[] = [];
  let last = -1;
  for (const { number, text } of lines) {
    const isAlone = /^\s*(?:\||#|[-*] |\d+\. |$)/.test(text);
    const before = blocks.at(-1);
    if (before !== undefined && !isAlone && last === number - 1 && !/^\s*(?:\||#|$)/.test(before.text)) {
      blocks[blocks.length - 1] = { number: before.number, text: `${before.text}\n${text}` };
    } else blocks.push({ number, text });
    last = number;
  }
  return blocks;
}

/** A code span ends at the next run of as many backticks as it began with. */
const SPAN = /(?<!`)(`+)(?!`)([\s\S]*?[^`])\1(?!`)/g;

const withoutCode = (text: string): string => text.replaceAll(SPAN, ' code ');

/** As GitHub makes them of headings: one that is there already gets a number. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return prose(text)
    .lines.map((line) => /^#{1,6} (.+)$/.exec(line.text)?.[1])
    .filter((heading) => heading !== undefined)
    .map((heading) => {
      const anchor = heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-');
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    });
}

/** A span of single backticks that begins or ends with a blank is two that took the wrong one for their end. */
function unbalancedBackticks(file: string): string[] {
  return blocksOf(prose(read(file)).lines)
    .filter(({ text }) => {
      const spans = [...text.matchAll(SPAN)].filter(([, run]) => run === '`').map(([, , code = '']) => code);
      return withoutCode(text).includes('`') || spans.some((code) => /^\s|\s$/.test(code));
    })
    .map(({ number, text }) => `${file}:${number}: ${text.slice(0, 80)}`);
}

/** The cells of a row of a table: a bar parts them in code too, unless it is escaped. */
function cellsOf(row: string): number {
  return row.trim().replaceAll('\\|', '').replace(/^\|/, '').replace(/\|$/, '').split('|').length;
}

function crookedTables(file: string): string[] {
  const { lines } = prose(read(file));
  return lines.flatMap(({ number, text }, index) => {
    if (!/^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/.test(text)) return [];
    const head = lines[index - 1];
    const rows = [];
    for (let at = index + 1; lines[at]?.text.trimStart().startsWith('|'); at++) rows.push(lines[at]);
    const columns = cellsOf(text);
    return [head, ...rows]
      .filter((row) => row === undefined || cellsOf(row.text) !== columns)
      .map((row) => `${file}:${row?.number ?? number}: ${columns} columns, and here are others`);
  });
}

/** Outside of code a placeholder such as `<name>` is an element of HTML, and `&quot;` a quote; in code outside of a table `\\|` is two signs. */
function swallowedText(file: string): string[] {
  return blocksOf(prose(read(file)).lines)
    .filter(({ text }) => {
      const hidden = /(?<!\\)<(?!br>|!--|https?:)[a-z]|(?<!\\)&#?\w+;/i.test(withoutCode(text));
      const isRow = /^\s*\|/.test(text);
      return hidden || (!isRow && [...text.matchAll(SPAN)].some(([, , code = '']) => code.includes('\\|')));
    })
    .map(({ number, text }) => `${file}:${number}: ${text.slice(0, 80)}`);
}

function skippedHeadings(file: string): string[] {
  const headings = prose(read(file)).lines.filter(({ text }) => /^#{1,6} /.test(text));
  const levelOf = (line: Line | undefined): number => line?.text.indexOf(' ') ?? 0;
  return headings
    .filter((line, index) => levelOf(line) > levelOf(headings[index - 1]) + 1)
    .map(({ number, text }) => `${file}:${number}: ${text}`);
}

function brokenLinks(file: string): string[] {
  const { lines } = prose(read(file));
  const links = blocksOf(lines).flatMap(({ number, text }) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]*)\)|(?:src|srcset|href)="([^"]*)"/g)].map(([, one, other]) => ({
      number,
      link: one ?? other ?? '',
    })),
  );
  return links
    .filter(({ link }) => !/^(?:https?|mailto):/.test(link))
    .filter(({ link }) => {
      const [target = '', anchor] = link.split('#');
      const to = target === '' ? file : path.posix.join(path.posix.dirname(file), decodeURIComponent(target));
      if (link === '' || !existsSync(path.join(root, to))) return true;
      return anchor !== undefined && !anchorsOf(read(to)).includes(anchor);
    })
    .map(({ number, link }) => `${file}:${number}: ${link}`);
}

/** In CONTRIBUTING.md the files of a kind that somebody might add; and what the bench writes. */
const NOT_THERE = /[sS]ession|bench\/results\.json/;

/** Paths of this repository, those of code without the leading src/ too. */
function missingFiles(file: string): string[] {
  const text = read(file);
  const paths = [
    ...text.matchAll(/(?<![\w/.-])((?:src|test|deploy|schemas|bench)\/[\w./-]*\w)(?![\w./-]| (?:Rules|Data|Queries))/g),
    ...text.matchAll(/`([\w-]+\/[\w./-]+\.ts)`/g),
  ].map(([, name = '']) => name);
  return paths
    .filter((name) => !NOT_THERE.test(name))
    .filter((name) => ![name, `src/${name}`].some((known) => existsSync(path.join(root, known))))
    .map((name) => `${file}: ${name}`);
}

describe('the Markdown files', () => {
  const checks = {
    'end every block of code': (file: string) => {
      const { openFence } = prose(read(file));
      return openFence === null ? [] : [`${file}:${openFence}`];
    },
    'have no backtick without its other one': unbalancedBackticks,
    'have as many cells in each row as the table has columns': crookedTables,
    'hide no text, as HTML or by an escape': swallowedText,
    'skip no level of headings': skippedHeadings,
    'link to files and headings that there are': brokenLinks,
    'name files that there are': missingFiles,
    'have one title, at their beginning': (file: string) => {
      const titles = prose(read(file)).lines.filter(({ text }) => text.startsWith('# '));
      return titles.length === 1 && read(file).startsWith('# ') ? [] : [file];
    },
  };
  for (const [what, check] of Object.entries(checks)) {
    it(what, () => {
      assert.ok(documents.includes('docs/errors.md'));
      assert.deepEqual(documents.flatMap(check), []);
    });
  }

  it('are linked, every page of docs from README.md or a page that is', () => {
    const linked = new Set(['README.md']);
    for (const file of linked) {
      for (const [, target = ''] of read(file).matchAll(/\]\((?!https?:)([^)#\s]+\.md)(?:#[^)]*)?\)/g)) {
        linked.add(path.posix.join(path.posix.dirname(file), target));
      }
    }
    assert.deepEqual(
      documents.filter((file) => /^docs\/[\w-]+\.md$/.test(file) && !linked.has(file)),
      [],
    );
  });
});
