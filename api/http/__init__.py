"""The parts of HTTP that are the same for all features: connections, headers, cursors and middleware.

Read `headers` first, then `middleware`.
"""
