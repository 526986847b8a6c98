"""The ASGI middleware around every request.

From the outermost to the innermost: `plain_requests`, CORS, `request_metrics`, `unread_bodies`, `request_audit`,
`problems`, `web_page`, `authentication`. Read `problems` first; it turns errors into responses.
"""
