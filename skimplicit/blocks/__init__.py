"""The convex subproblems of training, and what solves them."""
