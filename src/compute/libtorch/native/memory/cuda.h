// Questions to CUDA as a whole. They need no header of CUDA's; only startCuda needs a GPU.
#pragma once
#include <ATen/core/Tensor.h>
#include <cstdint>
#include <string>

namespace patchwise {

// GPUs that libtorch can use; 0 if it was built without CUDA or no driver answers.
int64_t cudaDevices();

// Why there are none, in CUDA's words; empty if there are some.
std::string cudaProblem();

// 91501 is cuDNN 9.15.1; 0 if there is none.
int64_t cudnnVersion();

// Initialises a GPU, and makes its results exact and repeatable: floats are floats, and the same bits every time.
at::Device startCuda(int64_t device);

// Whether convolutions may multiply 10 bits of each mantissa. Matrix products never do: they find the nearest codes.
void allowTf32(bool allow);

// Whether an error's words are about memory. cuDNN finds no engine if there is no room for a workspace.
bool saysOutOfMemory(const std::string& why);

} // namespace patchwise
