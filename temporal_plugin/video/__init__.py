"""Frames of a video with their real presentation times, and the model inputs made from them."""
