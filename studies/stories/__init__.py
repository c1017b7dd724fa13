"""Composed stories: how far does reasoning carry, before and after GRPO?"""
