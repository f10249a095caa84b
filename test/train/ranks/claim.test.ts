import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidArgument } from '../../../src/errors';
import { identify } from '../../../src/process-identity';
import { claimRun, livesOn, type Owner, readOwner } from '../../../src/train/ranks/claim';

let folder: string;
let beats: NodeJS.Timeout | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'patchwise-claim-'));
});
afterEach(() => {
  clearInterval(beats);
  rmSync(folder, { recursive: true, force: true });
});

const elsewhere: Owner = {
  ...{ role: 'supervisor', host: 'node7', machine: 'another boot', token: 'x' },
  ...identify(process.pid)!,
};

function write(owner: object): void {
  writeFileSync(join(folder, 'owner.json'), JSON.stringify(owner));
}

describe('a run is one process’s', { timeout: 60_000 }, () => {
  it('is claimed once, and again when it is released', async () => {
    const claim = await claimRun(folder, 'rank');
    await expect(claimRun(folder, 'rank')).rejects.toThrow(InvalidArgument);
    await expect(claimRun(folder, 'rank')).rejects.toThrow(`received "one of process ${process.pid} on`);
    await claim.release();
    expect(existsSync(join(folder, 'owner.json'))).toBe(false);
    await (await claimRun(folder, 'rank')).release();
  });

  it('goes to one of many processes that ask at once', async () => {
    write({ ...elsewhere, machine: (await ours()).machine, pid: 2 ** 22 + 1 }); // a process that is no more
    const claims = await Promise.allSettled(Array.from({ length: 8 }, () => claimRun(folder, 'rank')));
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is free where its process is gone, or the file was torn by a power cut', async () => {
    const child = spawn('sleep', ['30']);
    const owner = { ...(await ours()), ...identify(child.pid!)! };
    child.kill('SIGKILL');
    await new Promise((ended) => child.on('exit', ended));
    write(owner);
    await (await claimRun(folder, 'rank')).release();
    writeFileSync(join(folder, 'owner.json'), '');
    await (await claimRun(folder, 'rank')).release();
  });

  it('belongs to another machine as long as that machine touches it, whatever its clock says', async () => {
    write(elsewhere);
    let clock = 1000;
    beats = setInterval(() => utimesSync(join(folder, 'owner.json'), ++clock, clock), 1000);
    expect(await livesOn(folder, elsewhere)).toBe(true);
    await expect(claimRun(folder, 'rank')).rejects.toThrow('on node7');
    clearInterval(beats);
    // Its machine is gone: the run is not lost with it.
    const claim = await claimRun(folder, 'rank');
    expect(readOwner(folder)!.pid).toBe(process.pid);
    await claim.release();
  });

  it('does not remove a claim that another process has made meanwhile', async () => {
    const claim = await claimRun(folder, 'rank');
    write(elsewhere);
    await claim.release();
    expect(readOwner(folder)).toEqual(elsewhere);
  });

  it.each(['', 'null', '{}', '"x"', '7'])('a damaged owner is nobody: %j', async (content) => {
    writeFileSync(join(folder, 'owner.json'), content);
    expect(readOwner(folder)).toBeUndefined();
    await (await claimRun(folder, 'rank')).release();
    expect(existsSync(join(folder, 'owner.json'))).toBe(false);
  });
});

async function ours(): Promise<Owner> {
  const claim = await claimRun(folder, 'rank');
  const owner = readOwner(folder)!;
  await claim.release();
  return owner;
}
