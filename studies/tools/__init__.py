"""The study of tools: what each of them is worth, before and after reinforcement learning."""
