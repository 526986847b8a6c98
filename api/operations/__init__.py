"""Endpoints for operators and autoscalers, and the lists of what a job can request.

They show health, metrics, scaling, endpoints and prompts. Read `health` first.
"""
