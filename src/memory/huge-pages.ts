/**
 * Fresh memory in large pages: Linux takes 0.3 s to give 600 MiB in pages of 4 KiB, longer than it takes to read them from
 * a file. NumPy asks for pages of 2 MiB; Node does not. glibc asks for all memory of a process if it is told to when the
 * process starts. Fewer arenas cost less memory, as each begins on large pages. Other systems ignore the variable.
 */
const tunables = 'glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2';

/** For the environment of a process that holds volumes. */
export const hugePages = { GLIBC_TUNABLES: tunables } as const;
