/** A kernel as a child process: its connection file, its start and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compiledFile, nodeArguments } from '../../src/package';
import { leadsGroup } from '../process/group';
import { type Connection, connectionFile, freeConnection } from '../protocol/connection';

export interface KernelProcessOptions {
  /** The kernel's working directory: a notebook's folder. */
  readonly cwd: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Instead of our own kernel; the connection file's path is appended. */
  readonly command?: readonly string[];
}

/** How the kernel's process ended, once it has. */
export interface KernelExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

const STDERR_CHARACTERS = 20_000;
const STDERR_GRACE_MS = 300;

export class KernelProcess {
  readonly exited: Promise<KernelExit>;
  /** Hears what the process and the children of its cells write to stderr beside what cells print. */
  onStderr: (text: string) => void = () => {};

  private constructor(
    readonly connection: Connection,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {
    let stderr = '';
    child.stderr?.on('data', (text: Buffer) => {
      stderr = (stderr + text.toString()).slice(-STDERR_CHARACTERS);
      this.onStderr(text.toString());
    });
    const ended = Promise.race([
      once(child, 'close'),
      // What a cell has started may keep the kernel's stderr open for as long as it runs.
      once(child, 'exit').then((exit) => sleep(STDERR_GRACE_MS, exit)),
    ]);
    this.exited = ended.then(([code, signal]) => ({ code, signal, stderr }) as KernelExit);
  }

  /** Starts the process on loopback, with ports that were free a moment ago. */
  static async start(options: KernelProcessOptions): Promise<KernelProcess> {
    const connection = await freeConnection();
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-kernel-'));
    const file = join(folder, 'connection.json');
    await writeFile(file, connectionFile(connection), { mode: 0o600 });
    const kernel = nodeArguments(compiledFile('kernels', 'main.js'));
    const [program, ...args] = options.command ?? [process.execPath, ...kernel];
    const child = spawn(program!, [...args, file], {
      cwd: options.cwd,
      env: { ...process.env, ...options.environment, JPY_PARENT_PID: String(process.pid) },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true, // its own process group, as Jupyter starts kernels: a Ctrl+C at our terminal is ours to pass on
    });
    return new KernelProcess(connection, child, folder);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Kills the process and the children of its cells. */
  kill(): void {
    const { pid } = this;
    if (pid !== undefined && leadsGroup(pid)) process.kill(-pid, 'SIGKILL');
    else this.child.kill('SIGKILL');
  }

  /**
   * Resolves once the process has ended, the children of its cells too, and its connection file is gone. Kills them
   * after `patienceMs`.
   */
  async end(patienceMs: number): Promise<KernelExit> {
    const late = setTimeout(() => this.kill(), patienceMs);
    const exit = await this.exited;
    clearTimeout(late);
    this.kill(); // what a kernel left behind that has crashed
    await rm(this.folder, { recursive: true, force: true });
    return exit;
  }
}
