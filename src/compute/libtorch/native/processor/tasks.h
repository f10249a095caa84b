// Work shared out among threads.
#pragma once
#include <ATen/Parallel.h>
#include <atomic>
#include <vector>

namespace patchwise {

// Calls body(i) once for each i of [0, count), `grain` of them or more by one thread.
template <typename Body>
void eachIndex(int64_t count, int64_t grain, Body body) {
  at::parallel_for(0, count, grain, [&](int64_t start, int64_t end) {
    for (int64_t i = start; i < end; i++) body(i);
  });
}

// For threads of which one may get less of its processor than another: runs body(next) on every thread. next() gives a
// task of [0, tasks), each once, and -1 when all are given. A thread works on a range of its own, where neighbours share
// what they read, and then takes tasks from threads that are behind.
template <typename Body>
void eachTask(int64_t tasks, Body body) {
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };
  int64_t threads = std::min<int64_t>(tasks, at::get_num_threads());
  std::vector<Range> ranges(threads);
  for (int64_t i = 0; i < threads; i++) ranges[i].next = tasks * i / threads, ranges[i].end = tasks * (i + 1) / threads;
  at::parallel_for(0, threads, 1, [&](int64_t start, int64_t) {
    body([&]() -> int64_t {
      for (int64_t i = 0; i < threads; i++) {
        Range& range = ranges[(start + i) % threads];
        int64_t task = range.next.fetch_add(1, std::memory_order_relaxed);
        if (task < range.end) return task;
      }
      return -1;
    });
  });
}

} // namespace patchwise
