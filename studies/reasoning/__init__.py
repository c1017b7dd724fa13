"""Puzzles, cash and programs: what GRPO makes of one base that has read of all of them."""
