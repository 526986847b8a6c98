"""Routes for operators and autoscalers, and lists of what a job can request.

The routes for operators and autoscalers are health, metrics and scaling. The lists contain endpoints and prompts. Read
`health` first.
"""
