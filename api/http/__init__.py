"""HTTP itself, independent of what the API is for: connections, headers, cursors and middleware.

Read `headers` first, then `middleware`.
"""
