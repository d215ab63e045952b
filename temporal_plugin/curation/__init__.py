"""Which samples to train on, and in which order: difficulty, selection, curriculum. numpy only."""
