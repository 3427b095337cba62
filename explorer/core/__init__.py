"""Foundations of every subpackage: errors, protocols, settings, architectures, layers, fronts and files."""
