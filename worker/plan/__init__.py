"""The plan stage, which turns the accepted items of a job into frames.

It reads a submission, and stores parts with planned frames and items. The frames of a stored part can be claimed. Read
`plan_step` first, then `layout`.
"""
