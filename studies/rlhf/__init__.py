"""Learning from preferences: what a reward model of few labels is worth, and how it is gamed."""
