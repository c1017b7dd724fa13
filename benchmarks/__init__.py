"""minilrm beside what people would use instead: the same weights, prompts, lengths and token
budget, in one run."""
