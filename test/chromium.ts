import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { skip } from './required';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** Where CHROMIUM is set, that one or none. */
const executable = (process.env.CHROMIUM ? [process.env.CHROMIUM] : places).find((path) => existsSync(path));

/** Whether a browser test can run. @throws where it cannot, but must */
export function hasChromium(what: string): boolean {
  if (!executable) skip('chromium', what, 'set CHROMIUM to its path');
  return executable !== undefined;
}

const WITH_WEBGL = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];

interface BrowserOptions {
  readonly dark?: boolean;
  /** Whether pages have WebGL, drawn by the processor; if it is not given, that is up to Chromium. */
  readonly webGl?: boolean;
}

/** A headless browser with a fresh profile and no network but this machine; `errors` gathers what its pages complain of. */
export async function openBrowser(options: BrowserOptions = {}): Promise<{
  page: Page;
  context: BrowserContext;
  errors: string[];
  requests: string[];
  close(): Promise<void>;
}> {
  const profile = await mkdtemp(join(tmpdir(), 'patchwise-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable!,
    headless: true,
    colorScheme: options.dark ? 'dark' : 'light',
    viewport: { width: 1100, height: 900 },
    args: [
      ...[
        '--no-sandbox',
        ...(options.webGl ? WITH_WEBGL : ['--disable-gpu']),
        ...(options.webGl === false ? ['--disable-3d-apis'] : []),
        '--disable-dev-shm-usage', // containers often have little of it
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
      ],
      ...['--disable-component-update', '--disable-sync'],
    ],
  });
  const page = await context.newPage();
  const errors: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  const close = async (): Promise<void> => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page, context, errors, requests, close };
}
