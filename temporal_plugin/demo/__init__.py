"""Synthetic clips and a tiny model that make the whole chain run on a laptop CPU."""
