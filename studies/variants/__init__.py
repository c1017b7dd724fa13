"""Which part of the recipe matters? Twelve variants of GRPO at equal cost."""
