"""Pareto Explorer."""
