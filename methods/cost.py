"""What a fit costs: seconds of training and peak memory, measured the same way for every contestant."""

import resource
import time
from pathlib import Path

from methods.contestant import Cost


class Meter:
    """Starts counting when made; waits for the device, so that queued CUDA work counts."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cuda":
            import torch

            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        self._start = time.perf_counter()

    def cost(self, gaussians: int | None = None, rasterizer: str | None = None) -> Cost:
        """Seconds since the start and the peak memory until now."""
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()
            seconds = time.perf_counter() - self._start
            peak = torch.cuda.max_memory_allocated() / 2**20
            return Cost(seconds, peak, "cuda allocator", gaussians, rasterizer)
        return Cost(time.perf_counter() - self._start, process_peak(), "process", gaussians, rasterizer)


def process_peak() -> float:
    """Peak resident memory of this process so far, MiB.

    On Linux getrusage would count what the parent held when it started this process; the kernel's own high-water
    mark of the address space does not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes
