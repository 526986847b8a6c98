"""Send callbacks: one signed event to one receiver.

The sender takes an event and a URL, and returns what the receiver answered. It connects only to allowed addresses. Read
`callback_sender` first, then `address_guard`.
"""
