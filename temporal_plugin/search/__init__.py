"""Frames of a long video that answer a query: embeddings, relevance and diverse selection."""
