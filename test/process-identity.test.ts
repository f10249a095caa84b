import { afterEach, expect, it, vi } from 'vitest';
import { leadsGroup } from '../kernels/process/group';
import { identify, signalProcess } from '../src/process-identity';

afterEach(() => vi.restoreAllMocks());

// A run or a kernel may be the first process of its container. `kill(-1)` would end everything in there.
it('the first process of a machine or container is signalled alone, never as a group', () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => true);
  expect(signalProcess(identify(1)!, 'SIGTERM', true)).toBe(true);
  expect(leadsGroup(1)).toBe(false);
  expect(kill.mock.calls).toEqual([[1, 'SIGTERM']]);
});

it('any other process is signalled with the group that it leads', () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => true);
  signalProcess(identify(process.pid)!, 'SIGTERM', true);
  expect(kill.mock.calls).toEqual([[-process.pid, 'SIGTERM']]);
});

it('a process that has ended, or whose pid another one has now, is not signalled', () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => true);
  expect(signalProcess({ pid: process.pid, started: 'another time' }, 'SIGTERM', true)).toBe(false);
  expect(signalProcess({ pid: 2 ** 22 + 1, started: '1' }, 'SIGTERM')).toBe(false);
  expect(kill).not.toHaveBeenCalled();
});
