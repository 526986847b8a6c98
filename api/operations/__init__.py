"""Routes for operators and autoscalers (health, metrics and scaling), and lists of the endpoints and prompts that a job
can request. Read `health` first.
"""
