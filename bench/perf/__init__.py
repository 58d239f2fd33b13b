"""Speed and memory, side by side in one run. Each module has `measure(repeats)` and `table(result)`."""

BENCHMARKS = {name: f"bench.perf.{name}" for name in ("rasterizer", "blur", "train", "synth", "restore")}
