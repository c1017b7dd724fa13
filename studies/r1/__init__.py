"""DeepSeek-R1's recipe, measured: what each stage does, and what its rewards cost."""
