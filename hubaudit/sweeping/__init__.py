"""Sweeps: many targets through the same audit, one store, and what changed since the sweep before."""
