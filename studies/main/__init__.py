"""The main job: GRPO on gsm8k-mini from the shipped base, what `make grpo` does."""
