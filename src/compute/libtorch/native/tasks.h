// Tasks shared out among threads, of which one may get less of its processor than another.
#pragma once
#include <ATen/Parallel.h>
#include <atomic>
#include <vector>

namespace patchwise {

// Runs body(next) on every thread; next() gives it a task of [0, tasks), each once, and -1 when all are given. A thread
// works on a range of its own, where neighbours share what they read, and then takes from those that are behind.
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
