import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../../src/errors';
import { identify } from '../../../src/process-identity';
import { claimRun, livesOn, type Owner, readOwner } from '../../../src/train/ranks/claim';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The folder of a run, of one test alone. */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'patchwise-claim-'));
  folders.push(folder);
  return folder;
}

const elsewhere: Owner = {
  ...{ role: 'supervisor', host: 'node7', machine: 'another boot', token: 'x' },
  ...identify(process.pid)!,
};

function write(folder: string, owner: object): void {
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
}

// They wait for seconds in which owners may give a sign of life, so they wait together.
describe.concurrent('a run is one process’s', { timeout: 60_000 }, () => {
  it('is claimed once, and again when it is released', async () => {
    const folder = newFolder();
    const claim = await claimRun(folder, 'rank');
    await expect(claimRun(folder, 'rank')).rejects.toThrow(InvalidArgument);
    await expect(claimRun(folder, 'rank')).rejects.toThrow(`received "one of process ${process.pid} on`);
    await claim.release();
    expect(existsSync(join(folder, 'owner.json'))).toBe(false);
    await (await claimRun(folder, 'rank')).release();
  });

  it('goes to one of many processes that ask at once', async () => {
    const folder = newFolder();
    write(folder, { ...elsewhere, machine: (await ours(folder)).machine, pid: 2 ** 22 + 1 }); // a process that is no more
    const claims = await Promise.allSettled(Array.from({ length: 8 }, () => claimRun(folder, 'rank')));
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is free where its process is gone, or the file was torn by a power cut', async () => {
    const folder = newFolder();
    const child = spawn('sleep', ['30']);
    const owner = { ...(await ours(folder)), ...identify(child.pid!)! };
    child.kill('SIGKILL');
    await new Promise((ended) => child.on('exit', ended));
    write(folder, owner);
    await (await claimRun(folder, 'rank')).release();
    writeFileSync(join(folder, 'owner.json'), '');
    await (await claimRun(folder, 'rank')).release();
  });

  it('belongs to another machine as long as that machine touches it, whatever its clock says', async () => {
    const folder = newFolder();
    write(folder, elsewhere);
    let clock = 1000;
    const beats = setInterval(() => utimesSync(join(folder, 'owner.json'), ++clock, clock), 1000);
    expect(await livesOn(folder, elsewhere)).toBe(true);
    await expect(claimRun(folder, 'rank')).rejects.toThrow('on node7');
    clearInterval(beats);
    // Its machine is gone: the run is not lost with it.
    const claim = await claimRun(folder, 'rank');
    expect(readOwner(folder)!.pid).toBe(process.pid);
    await claim.release();
  });

  it('does not remove a claim that another process has made meanwhile', async () => {
    const folder = newFolder();
    const claim = await claimRun(folder, 'rank');
    write(folder, elsewhere);
    await claim.release();
    expect(readOwner(folder)).toEqual(elsewhere);
  });

  it.each(['', 'null', '{}', '"x"', '7'])('a damaged owner is nobody: %j', async (content) => {
    const folder = newFolder();
    writeFileSync(join(folder, 'owner.json'), content);
    expect(readOwner(folder)).toBeUndefined();
    await (await claimRun(folder, 'rank')).release();
    expect(existsSync(join(folder, 'owner.json'))).toBe(false);
  });
});

async function ours(folder: string): Promise<Owner> {
  const claim = await claimRun(folder, 'rank');
  const owner = readOwner(folder)!;
  await claim.release();
  return owner;
}
