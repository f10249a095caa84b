import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { expect } from 'vitest';

const cli = resolve(__dirname, '..', 'dist', 'src', 'cli.js');

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command `patchwise`, as built, in a process of its own. */
export class PatchwiseCommand {
  /** @param folder where it is called, and below which its runs are */
  constructor(private readonly folder: () => string) {}

  /**
   * @param args what follows `patchwise` in a shell
   * @param interruptAt sends the signal of Ctrl-C once it has said so on stderr
   */
  run(args: readonly string[], interruptAt?: RegExp): Promise<CommandResult> {
    const folder = this.folder();
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: folder,
      env: { ...process.env, PATCHWISE_RUNS: resolve(folder, 'runs') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr, sent] = ['', '', false];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (sent || !interruptAt?.test(stderr)) return;
      sent = true;
      child.kill('SIGINT');
    });
    return new Promise((done) => child.on('close', (code) => done({ code, stdout, stderr })));
  }

  /** What it prints with `--json`; it must end with 0. */
  // biome-ignore lint/suspicious/noExplicitAny: what JSON says is what the tests are about
  async json(...args: string[]): Promise<any> {
    const { code, stdout, stderr } = await this.run([...args, '--json']);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout);
  }
}
