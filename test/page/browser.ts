import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

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
  open(url: string, look?: Look): Promise<Tab>;
}

/** A real browser that ends after the test. Each tab has storage of its own. */
export async function startBrowser(t: TestContext): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  t.after(() => browser.close());
  return {
    async open(url, { colorScheme = 'light', width = 1280, javaScriptEnabled = true } = {}) {
      const context: BrowserContext = await browser.newContext({
        colorScheme,
        javaScriptEnabled,
        viewport: { width, height: 800 },
      });
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
  };
}
