"""Compiled forms of what trains on CPUs: the same results as torch's own, sooner."""
