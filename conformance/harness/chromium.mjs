// Drives headless Chromium. Every run has a browser context of its own: contexts share no
// connection pool, and long polling would otherwise use up the six connections per host.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { HOST_METHODS } from './host.mjs';

const FINDER = fileURLToPath(new URL('../../scripts/chromium', import.meta.url));

export class Chromium {
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

  // Opens the page in a fresh context with `host` behind it.
  async open(host, { trustsPrivateAuthority = false } = {}) {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: trustsPrivateAuthority });
    try {
      const page = await context.newPage();
      const messages = [];
      page.on('pageerror', (error) => messages.push(String(error)));
      await page.exposeFunction('hostCall', (method, args) => {
        if (!HOST_METHODS.includes(method)) throw new Error(`no host method ${method}`);
        return host[method](...args);
      });
      await page.goto(this.pageURL);
      await page.waitForFunction('window.ready', undefined, { timeout: 20_000 });
      return { page, messages, close: () => context.close() };
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  async run(scenario, transport, host) {
    const opened = await this.open(host, scenario);
    try {
      const result = await opened.page.evaluate(
        ([id, name]) => window.runScenario(id, name), [scenario.id, transport]);
      if (result.status === 'fail' && opened.messages.length > 0) {
        result.reason += `\npage errors: ${opened.messages.join('; ')}`;
      }
      return result;
    } finally {
      await opened.close();
    }
  }

  stop() {
    return this.browser.close();
  }
}
