"""Real servers, simulated annotators and measurements.

Owns the demo, the load and the benchmarks; refuses to be needed by the product.
"""

__all__ = ["annotators", "benchmark", "demo", "importing", "live", "load", "sandbox"]
