// Drives headless Chromium. Runs at the same time have browser contexts of their own: contexts share
// no connection pool, and long polling would otherwise use up the six connections per host.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { HOST_METHODS } from './host.mjs';

const FINDER = fileURLToPath(new URL('../../scripts/chromium', import.meta.url));

export class Chromium {
  #idle = [];

  static async start(pageURL) {
    const driver = new Chromium();
    const { stdout } = await promisify(execFile)(FINDER);
    driver.pageURL = pageURL;
    driver.browser = await chromium.launch({
      executablePath: stdout.trim(),
      // As root there is no sandbox; the pages are ours. Timers must not be throttled in the background.
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-background-timer-throttling',
        '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows'],
    });
    driver.version = driver.browser.version();
    return driver;
  }

  // Opens the page in a fresh context. Calls from the page go to `opened.host`.
  async open(host) {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true });
    try {
      const page = await context.newPage();
      const opened = { host, page, messages: [], close: () => context.close() };
      page.on('pageerror', (error) => opened.messages.push(String(error)));
      await page.exposeFunction('hostCall', (method, args) => {
        if (!HOST_METHODS.includes(method)) throw new Error(`no host method ${method}`);
        return opened.host[method](...args);
      });
      await page.goto(this.pageURL);
      await page.waitForFunction('window.ready', undefined, { timeout: 30_000 });
      return opened;
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  // Runs a scenario in a page that another has left behind in good order, or in a new one.
  async run(scenario, transport, host) {
    const opened = this.#idle.pop() ?? (await this.open());
    Object.assign(opened, { host, messages: [] });
    let result;
    try {
      result = await opened.page.evaluate(
        ([id, name]) => window.runScenario(id, name), [scenario.id, transport]);
    } finally {
      if (result?.status === 'pass') this.#idle.push(opened);
      else await opened.close();
    }
    if (result.status === 'fail' && opened.messages.length > 0) {
      result.reason += `\npage errors: ${opened.messages.join('; ')}`;
    }
    return result;
  }

  stop() {
    return this.browser.close();
  }
}
