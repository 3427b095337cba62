"""What every room stands on: errors, protocols, settings, architectures, layers, fronts, files."""
