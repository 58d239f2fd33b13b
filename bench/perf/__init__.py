"""Speed and memory, side by side in one run. Each module has `measure(repeats)` and `table(result)`."""

BENCHMARKS = {"rasterizer": "bench.perf.rasterizer", "blur": "bench.perf.blur", "train": "bench.perf.train"}
