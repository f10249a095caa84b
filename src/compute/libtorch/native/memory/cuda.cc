#include "memory/cuda.h"
#include <ATen/Context.h>
#include <torch/version.h>
#include <cstdlib>
#include "binding/aten.h"

namespace patchwise {
namespace {

// at::hasCUDA() is about GPUs that answer, this about how libtorch was built.
bool builtWithCuda() { return at::detail::getCUDAHooks().hasCUDART(); }

void initialiseCuda() {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 6)
  at::globalContext().lazyInitDevice(at::kCUDA);
#else
  at::globalContext().lazyInitCUDA();
#endif
}

} // namespace

int64_t cudaDevices() {
  // nvidia-smi numbers GPUs by slot, CUDA by speed unless it is told. Users read nvidia-smi.
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
  return at::hasCUDA() ? at::getNumGPUs() : 0;
}

std::string cudaProblem() {
  if (!builtWithCuda()) return "this libtorch was built without CUDA";
  if (at::getNumGPUs() > 0) return "";
  try {
    initialiseCuda();
    return "CUDA starts, and shows no GPU";
  } catch (const c10::Error& problem) {
    return problem.what_without_backtrace();
  } catch (const std::exception& problem) {
    return problem.what();
  }
}

int64_t cudnnVersion() {
  if (!builtWithCuda()) return 0;
  try {
    return at::detail::getCUDAHooks().hasCuDNN() ? at::detail::getCUDAHooks().versionCuDNN() : 0;
  } catch (const std::exception&) {
    return 0;
  }
}

at::Device startCuda(int64_t device) {
  initialiseCuda();
  at::Device gpu(at::kCUDA, (c10::DeviceIndex)device);
  // The allocator knows a device only after it has given memory there, and its figures may be asked for before.
  at::empty({1}, at::TensorOptions().device(gpu));
  auto& context = at::globalContext();
  // TF32 keeps 10 of a float's 23 bits of mantissa, and is cuDNN's default.
  context.setAllowTF32CuDNN(false);
  context.setAllowTF32CuBLAS(false);
  // A resumed run equals an uninterrupted one to the bit: no algorithm may add in any order, or be chosen by the clock.
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  return gpu;
}

void allowTf32(bool allow) { at::globalContext().setAllowTF32CuDNN(allow); }

bool saysOutOfMemory(const std::string& why) {
  for (const char* words : {"not enough memory", "out of memory", "unable to find an engine to execute this computation",
                            "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
                            "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"})
    if (why.find(words) != std::string::npos) return true;
  return false;
}

} // namespace patchwise
