"""Training methods: they alternate over blocks and own the true objective."""
