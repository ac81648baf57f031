import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { chromium, type Page } from 'playwright-core';

/** Where Debian's chromium package has it. */
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

/** For `skip` of a test; false where there is a browser. */
export const noBrowser =
  executablePath === undefined ? 'there is no chromium here; Debian has it in the package chromium' : false;

export interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly javaScriptEnabled?: boolean;
}

export interface Tab {
  readonly page: Page;
  /** What went wrong in the page: errors of scripts, and what the Content-Security-Policy or the network refused. */
  readonly faults: readonly string[];
}

export interface TestBrowser {
  /** A tab with storage of its own, closed after the test. */
  open(t: TestContext, url: string, look?: Look): Promise<Tab>;
  close(): Promise<void>;
}

/** A real browser. */
export async function startBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  return {
    async open(t, url, { colorScheme = 'light', width = 1280, javaScriptEnabled = true } = {}) {
      const context = await browser.newContext({ colorScheme, javaScriptEnabled, viewport: { width, height: 800 } });
      t.after(() => context.close());
      const page = await context.newPage();
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (message) => {
        // The browser logs each answer of 401 by itself.
        if (message.type() === 'error' && !message.text().includes('401')) faults.push(message.text());
      });
      await page.goto(url);
      return { page, faults };
    },
    close: () => browser.close(),
  };
}
