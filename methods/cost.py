"""What a fit costs: seconds of training and peak memory, measured the same way for every contestant."""

import resource
import sys
import time

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
        seconds = time.perf_counter() - self._start
        unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes on Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        return Cost(seconds, peak, "process", gaussians, rasterizer)
