"""Serving the page and the notebooks."""
