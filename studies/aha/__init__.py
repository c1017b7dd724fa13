"""The aha moment: does reinforcement learning make a model think again, and does that help?"""
