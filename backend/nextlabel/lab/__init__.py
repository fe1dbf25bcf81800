"""Real servers, simulated annotators and measurements.

Owns the demo, the load and the benchmarks; refuses to be needed by the product.
"""

__all__ = [
    "annotators",
    "benchmark",
    "check_architectures",
    "check_gpu",
    "count_requests",
    "demo",
    "faults",
    "importing",
    "live",
    "live_curves",
    "load",
    "loop_benchmark",
    "measure_cluster",
    "measure_connecting",
    "measure_loop",
    "measure_page",
    "measure_pool",
    "measure_rounds",
    "peers",
    "ray_nodes",
    "sandbox",
    "shown_project",
    "soak",
]
